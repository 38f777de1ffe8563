"""Whatever is asked or sent, the desk answers in words: a fault of its own is told as one, with the headers, and kept."""

import json
import sqlite3
from dataclasses import replace
from urllib.parse import quote

import pytest
from desks import Served, served
from starlette.routing import Route

from pipeline.review.pages.menu import PAGES
from pipeline.review.server.answers import FAULTS, number_of
from pipeline.review.server.guard import HEADERS

ROUTES = [route for page in PAGES for route in page.routes if isinstance(route, Route)]
READ = [route.path for route in ROUTES if "GET" in route.methods and "{" not in route.path]
WRITTEN = [route.path for route in ROUTES if "POST" in route.methods]
NONSENSE = ["", "²", "9" * 5000, "-1", "..", "\x00", "NaN", "1e999", "a" * 50_000, "(" * 900, "💠", "%", "\\"]
NAMES = ("q", "ids", "sort", "name", "tag", "other", "band", "typed", "what", "runs", "kind")
HALF = "\ud800"


def runs_of(desk: Served) -> int:
    return desk.desk.read(lambda manifest: len(manifest.runs()))


def any_of(desk: Served) -> int:
    """The number of some image."""
    return next(iter(desk.ids().values()))


@pytest.mark.parametrize("path", READ)
def test_a_question_that_makes_no_sense_is_no_fault(reading, path):
    for value in NONSENSE:
        asked = "&".join(f"{name}={quote(value)}" for name in NAMES if len(value) < 5000 or name in ("q", "ids"))
        status, headers, body = reading.ask("GET", f"/{reading.secrets.prefix}{path}?{asked}", reading.headers)
        assert status in (200, 400), (path, value[:20], body[:200])
        assert "error" in json.loads(body) if status == 400 else True
        assert headers["content-type"].startswith("application/json")


@pytest.mark.parametrize("number", ["999", "9" * 400, "²", "-1", "1.0", "x"])
def test_a_number_that_no_image_has_is_not_there(reading, number):
    for name in ("api/image/{}", "regularization/{}.webp"):
        address = f"/{reading.secrets.prefix}/{name.format(quote(number))}"
        status, _, body = reading.ask("GET", address, reading.headers)
        assert status in (400, 404) and json.loads(body)["error"], (address, body)


@pytest.mark.parametrize("path", WRITTEN)
def test_what_is_sent_without_sense_is_told_and_never_written(desk, path):
    before = runs_of(desk)
    sent = [
        b"",
        b"\xff\xfe",
        b"null",
        b"[]",
        b"1",
        b'"x"',
        b"[" * 100_000,
        b'{"ids": [' + b"9" * 5000 + b"]}",
        b'{"weights": {"artists": "\\ud800"}, "ids": "\\ud800", "proposals": "\\ud800"}',
        b'{"ids": {}, "choice": {"keep": true}, "proposals": {}, "answer": {}, "weights": 1}',
        b'{"ids": [null], "choice": null, "proposals": [1], "answer": 0, "weights": {"a": null}}',
        b'{"ids": [[0]], "choice": {"keep": 1}, "proposals": [{"kind": []}], "weights": {"artists": NaN}}',
        b'{"ids": [0], "choice": {"keep": "yes"}, "proposals": [[]], "answer": true, "weights": {"artists": true}}',
    ]
    for body in sent:
        status, _, answer = desk.ask("POST", f"/{desk.secrets.prefix}{path}", desk.headers, body)
        found = json.loads(answer)
        assert status < 500, (path, body[:60], answer)
        assert status == 200 or (found["error"] and found["hint"]), (path, body[:60])
    assert runs_of(desk) == before


@pytest.mark.parametrize(
    "choice",
    [
        {"caption": HALF},
        {"add": [HALF]},
        {"caption": "a\x00b"},
        {"caption": "a\x1b[2J"},
        {"add": ["a\x00"]},
        {"add": ["\x7f"]},
    ],
    ids=ascii,
)
def test_text_that_no_file_holds_is_refused_before_anything_is_written(desk, choice):
    before, number = runs_of(desk), any_of(desk)
    status, answer = desk.post("decide", {"ids": [number], "choice": choice})
    assert status == 400 and answer["hint"] and runs_of(desk) == before
    assert any(words in answer["error"] for words in ("JSON", "control character", "not one tag"))


def test_lines_and_tabs_of_a_caption_are_text(desk, root):
    number = any_of(desk)
    status, answer = desk.post("decide", {"ids": [number], "choice": {"caption": "one,\ttwo\nthree"}})
    assert status == 200, answer
    assert desk.get(f"api/image/{number}")["caption"].split() == ["one,", "two", "three"]


@pytest.mark.parametrize("key", ["²", "9" * 5000, "-1", "x", "", "10000"])
def test_a_stamp_of_no_image_says_nothing(desk, key):
    status, answer = desk.post("decide", {"ids": [any_of(desk)], "choice": {"keep": False}, "seen": {key: "x"}})
    assert status == 200, answer


def test_a_fault_of_the_desks_own_is_told_with_the_headers_and_kept_in_the_set(desk, root, monkeypatch):
    def broken(*_):
        raise ZeroDivisionError("by <b>nothing</b>")

    monkeypatch.setattr("pipeline.review.pages.images.large_view", broken)
    status, headers, body = desk.ask("GET", f"/{desk.secrets.prefix}/api/image/0", desk.headers)
    told = json.loads(body)
    assert status == 500 and told["error"] == "the desk made a mistake: ZeroDivisionError" and FAULTS in told["hint"]
    assert "nothing</b>" not in body.decode() and {name.decode() for name in HEADERS} <= headers.keys()
    assert "by <b>nothing</b>" in (root / FAULTS).read_text(encoding="utf-8")
    assert desk.get("api/version")["version"], "and the desk goes on"


def test_a_fault_while_a_page_is_made_is_told_the_same_way(root, monkeypatch):
    def broken(desk):
        raise ZeroDivisionError

    first = replace(PAGES[0], given=broken)
    monkeypatch.setattr("pipeline.review.server.app.PAGES", (first, *PAGES[1:]))
    with served(root) as desk:
        status, headers, body = desk.ask("GET", f"/{desk.secrets.prefix}/{first.name}", desk.headers)
        assert status == 500 and "the desk made a mistake" in json.loads(body)["error"]
        assert {name.decode() for name in HEADERS} <= headers.keys()
        assert desk.get("api/version")["version"]


def test_a_record_that_cannot_be_read_now_is_told_on_every_kind_of_route(desk, monkeypatch):
    row = desk.desk.snapshot().images[0]

    def locked(*_):
        raise sqlite3.OperationalError("database is locked")

    monkeypatch.setattr("pipeline.review.desk.build", locked)
    desk.desk._seen = -1
    for name in ("api/images", f"thumb/{row.content}.webp"):
        status, headers, body = desk.ask("GET", f"/{desk.secrets.prefix}/{name}", desk.headers)
        assert status == 503 and "another prep" in json.loads(body)["hint"], name
        assert {each.decode() for each in HEADERS} <= headers.keys()


def test_a_desk_that_has_ended_says_so_and_writes_nothing(desk):
    number, before = any_of(desk), runs_of(desk)
    desk.desk._ended.set()
    for status, answer in (
        desk.post("decide", {"ids": [number], "choice": {"keep": False}}),
        (desk.ask("GET", f"/{desk.secrets.prefix}/api/images", desk.headers)[0], {"error": "has ended"}),
    ):
        assert status == 409 and "has ended" in answer["error"]
    desk.desk._ended.clear()
    assert runs_of(desk) == before


@pytest.mark.parametrize(
    ("text", "number"),
    [("0", 0), ("17", 17), ("²", None), ("٣", None), ("-1", None), ("", None), ("9" * 16, None), (3, 3)],
)
def test_a_number_is_plain_digits(text, number):
    assert number_of(text) == number
