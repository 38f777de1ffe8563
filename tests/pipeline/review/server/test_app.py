"""The app's own table of routes: a new one cannot be forgotten by the tests of who is refused."""

from collections.abc import Iterator
from importlib import resources

import pytest
from desks import Served
from starlette.routing import BaseRoute, Mount, Route

from pipeline.review.pages.menu import PAGES
from pipeline.review.server.app import create_app
from pipeline.review.server.one_desk import ADDRESS, LOCK

FILLED = {"{number:int}": "0", "{content}": "0" * 64, "{kind}": "runs", "{name}": "a", "{word}": "b"}


def routes(found: list[BaseRoute], above: str = "") -> Iterator[tuple[str, Route]]:
    """(address, route) of every route of the app."""
    for each in found:
        if isinstance(each, Mount):
            yield from routes(each.routes, above + each.path)
        else:
            assert isinstance(each, Route), each
            yield above + each.path, each


@pytest.fixture
def table(reading: Served) -> list[tuple[str, Route]]:
    return list(routes(create_app(reading.desk, reading.secrets, reading.port)._app.routes))


def address(path: str) -> str:
    for name, value in FILLED.items():
        path = path.replace(name, value)
    assert "{" not in path, f"fill in {path} for the tests of who is refused"
    return path


def test_every_address_but_the_first_lies_under_the_secret_word_and_needs_the_session(reading, table):
    assert len(table) > len(PAGES) + 20
    without = {name: value for name, value in reading.headers.items() if name != "Cookie"}
    for path, route in table:
        if path == "/":
            continue
        assert path.startswith(f"/{reading.secrets.prefix}/"), path
        for method in route.methods:
            status, headers, body = reading.ask(method, address(path), without)
            assert status == 403 and body in (b"", b"open the address that prep review printed"), (method, path)
            assert "set-cookie" not in headers


def test_no_address_both_shows_and_changes_something(table):
    for path, route in table:
        assert route.methods in ({"GET", "HEAD"}, {"POST"}), path
        assert "POST" not in route.methods or "/api/" in path, path


def test_no_two_routes_answer_the_same(table):
    seen = [(path, method) for path, route in table for method in route.methods]
    assert len(seen) == len(set(seen))


def test_scripts_and_styles_are_those_of_the_package_with_their_types(reading):
    files = [each.name for each in resources.files("pipeline.review").joinpath("assets").iterdir() if each.is_file()]
    assert "desk.js" in files and "desk.css" in files
    for name in files:
        status, headers, _ = reading.ask("GET", f"/{reading.secrets.prefix}/assets/{name}", reading.headers)
        kind = {"js": "text/javascript", "css": "text/css"}.get(name.rpartition(".")[2])
        assert (status, headers["content-type"].partition(";")[0]) == (200, kind), name
    for name in (ADDRESS, LOCK, "manifest.db", "desk.html", "__init__.py", "DESK.CSS"):
        assert reading.ask("GET", f"/{reading.secrets.prefix}/assets/{name}", reading.headers)[0] == 404


def test_scripts_load_nothing_from_elsewhere_and_write_no_markup(reading):
    for each in resources.files("pipeline.review").joinpath("assets").iterdir():
        text = each.read_text(encoding="utf-8")
        addresses = [word for word in text.split() if "://" in word and "www.w3.org" not in word]
        assert not addresses, (each.name, addresses)
        for word in (
            "innerHTML",
            "outerHTML",
            "insertAdjacentHTML",
            "document.write",
            "eval(",
            "new Function",
            "@import",
        ):
            assert word not in text, (each.name, word)
