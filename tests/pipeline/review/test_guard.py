"""Nobody but the desk's own pages reads or writes: refused by the raw request, whatever the route."""

import socket

import pytest
from desks import HOSTILE, Served
from PIL import Image
from starlette.routing import Route

from pipeline.review.pages.menu import PAGES
from pipeline.review.server.guard import HEADERS

ALL = [
    (route, method)
    for page in PAGES
    for route in page.routes
    if isinstance(route, Route)
    for method in sorted(route.methods)
]


def path_of(route: Route, desk: Served) -> str:
    filled = route.path
    for name, value in (
        ("{number:int}", "0"),
        ("{content}", "0" * 64),
        ("{kind}", "runs"),
        ("{name}", "a"),
        ("{word}", "b"),
    ):
        filled = filled.replace(name, value)
    return f"/{desk.secrets.prefix}{filled}"


def of_a_page(desk: Served, **changed: str | None) -> dict[str, str]:
    """The headers of a page of the desk, but for these; None takes one out."""
    headers = desk.headers | {name.replace("_", "-"): value for name, value in changed.items()}
    return {name: value for name, value in headers.items() if value is not None}


def test_no_route_answers_without_the_session(reading):
    for route, method in ALL:
        refused_without_session(reading, path_of(route, reading), method)


def refused_without_session(reading: Served, path: str, method: str) -> None:
    for headers in (
        of_a_page(reading, Cookie=None),
        of_a_page(reading, Cookie="prep-desk-1=x"),
        of_a_page(reading, Cookie=f"{reading.headers['Cookie']}; {reading.headers['Cookie']}"),
    ):
        assert reading.ask(method, path, headers)[0] == 403
    wrong = path.replace(reading.secrets.prefix, "A" * len(reading.secrets.prefix))
    assert reading.ask(method, wrong, reading.headers)[0] == 403


@pytest.mark.parametrize(
    "host", ["evil.example", "evil.example:{port}", "127.0.0.1:1", "127.0.0.1", "127.0.0.1:{port}.", "", "[::1]:{port}"]
)
def test_no_route_answers_to_another_host(reading, host):
    headers = of_a_page(reading, Host=host.format(port=reading.port))
    assert {reading.ask(method, path_of(route, reading), headers)[0] for route, method in ALL} == {403}


def test_a_request_without_a_host_or_with_two_is_refused(reading):
    path = f"/{reading.secrets.prefix}/api/version"
    for hosts in ("", f"Host: 127.0.0.1:{reading.port}\r\nHost: 127.0.0.1:{reading.port}\r\n"):
        with socket.create_connection(("127.0.0.1", reading.port), 10) as raw:
            raw.sendall(
                f"GET {path} HTTP/1.1\r\n{hosts}Cookie: {reading.headers['Cookie']}\r\nConnection: close\r\n\r\n".encode()
            )
            answer = raw.makefile("rb").read()
        assert answer.split(b" ")[1] in (b"400", b"403")


@pytest.mark.parametrize(
    "changed",
    [
        {"Origin": "http://evil.example"},
        {"Origin": "null"},
        {"Origin": None},
        {"Origin": "http://127.0.0.1:1"},
        {"Origin": "http://localhost:{port}"},
        {"Origin": "https://127.0.0.1:{port}"},
        {"Sec_Fetch_Site": "cross-site"},
        {"Sec_Fetch_Site": "same-site"},
        {"X_Prep_Desk": None},
        {"X_Prep_Desk": "x"},
        {"Content_Type": "application/x-www-form-urlencoded"},
        {"Content_Type": "text/plain"},
        {"Content_Type": None},
    ],
    ids=str,
)
def test_nothing_is_written_for_a_request_that_is_not_of_a_page(reading, changed):
    headers = of_a_page(reading, **{name: value and value.format(port=reading.port) for name, value in changed.items()})
    before = reading.desk.read(lambda manifest: len(manifest.runs()))
    for route, method in ALL:
        if method == "POST":
            status, _, _ = reading.ask(
                "POST", path_of(route, reading), headers, b'{"ids": [0], "choice": {"keep": false}}'
            )
            assert status in (403, 415), route.path
    assert reading.desk.read(lambda manifest: len(manifest.runs())) == before


def test_a_page_of_another_port_reads_nothing_with_the_cookie_alone(reading):
    for site in ("same-site", "cross-site"):
        headers = of_a_page(reading, Sec_Fetch_Site=site)
        assert reading.ask("GET", f"/{reading.secrets.prefix}/api/version", headers)[0] == 403


def test_no_get_changes_anything_and_other_methods_are_refused(reading):
    for route, method in ALL:
        if method == "POST":
            assert reading.ask("GET", path_of(route, reading), reading.headers)[0] in (404, 405)
    for method in ("PUT", "DELETE", "PATCH", "OPTIONS", "TRACE"):
        assert reading.ask(method, f"/{reading.secrets.prefix}/api/decide", reading.headers)[0] == 405


def test_the_first_address_needs_the_token_and_gives_a_strict_cookie(reading):
    host = {"Host": f"127.0.0.1:{reading.port}"}
    status, headers, body = reading.ask(
        "GET", f"/?token={reading.secrets.token}", host | {"Sec-Fetch-Site": "cross-site"}
    )
    assert status == 200 and f"/{reading.secrets.prefix}/images".encode() in body
    cookie = headers["set-cookie"].lower()
    assert "httponly" in cookie and "samesite=strict" in cookie and f"prep-desk-{reading.port}" in cookie
    for path in ("/", "/?token=", "/?token=x", f"/?token={reading.secrets.token}x"):
        status, headers, body = reading.ask("GET", path, host)
        assert status == 403 and "set-cookie" not in headers and reading.secrets.prefix.encode() not in body


def test_every_answer_has_the_headers_errors_too(reading):
    prefix = reading.secrets.prefix
    asked = [
        ("GET", "/"),
        ("GET", f"/{prefix}/images"),
        ("GET", f"/{prefix}/nothing"),
        ("GET", f"/{prefix}/api/image/999"),
        ("GET", f"/{prefix}/api/images?q=%28"),
        ("GET", f"/{prefix}/assets/desk.css"),
        ("GET", f"/{prefix}/thumb/{'0' * 64}.webp"),
        ("PUT", f"/{prefix}/images"),
        ("GET", "/elsewhere"),
    ]
    for method, path in asked:
        status, headers, _ = reading.ask(method, path, reading.headers)
        assert {name.decode() for name in HEADERS} <= headers.keys(), (status, path)
        assert "unsafe" not in headers["content-security-policy"]
        assert "access-control-allow-origin" not in headers and "server" not in headers


@pytest.mark.parametrize(
    "name",
    [
        "../manifest.db",
        "..%2fmanifest.db",
        "%2e%2e/manifest.db",
        "..%5cmanifest.db",
        "/etc/passwd",
        "desk.css%00",
        "%00",
        "desk.css/..",
    ],
)
def test_no_address_leads_to_a_file_that_is_none_of_the_desks(reading, name):
    for folder in ("assets", "thumb", "preview", "run-image/runs"):
        status, _, body = reading.ask("GET", f"/{reading.secrets.prefix}/{folder}/{name}", reading.headers)
        assert status in (403, 404, 405), (folder, name, body[:80])


def test_images_are_encoded_anew_and_what_is_none_is_shown_as_such(desk, root):
    path = next(iter(desk.ids()))
    for content in (
        b"<svg xmlns='http://www.w3.org/2000/svg'><script>1</script></svg>",
        b"<html><script>1</script>",
        b"",
    ):
        (root / path).write_bytes(content)
        row = desk.desk.snapshot().images[0]
        status, headers, body = desk.ask("GET", f"/{desk.secrets.prefix}/preview/{row.content}.webp", desk.headers)
        assert (
            status == 200 and headers["content-type"] == "image/webp" and body[:4] == b"RIFF" and b"script" not in body
        )
        assert "sandbox" in headers["content-security-policy"]


def test_a_thumbnail_is_made_once_and_kept_in_the_cache(desk, root):
    image = desk.desk.snapshot().images[0]
    address = f"thumb/{image.content}.webp"
    first = desk.get(address)
    kept = root / "cache/thumbnails" / image.content[:2] / f"{image.content}.webp"
    assert kept.read_bytes() == first and max(Image.open(kept).size) <= 360
    (root / image.path).unlink()
    assert desk.get(address) == first


def test_names_and_captions_are_text(reading):
    page = reading.get("images").decode()
    assert HOSTILE not in page
    (number,) = [number for path, number in reading.ids().items() if "[b]" in path]
    assert HOSTILE in reading.get(f"api/image/{number}")["caption"]
