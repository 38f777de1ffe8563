"""What a browser would put right before it sends it: refused or answered in words, with the headers, whoever sends it."""

import socket

import pytest
from desks import Served

from pipeline.review.pages.menu import PAGES
from pipeline.review.server.guard import HEADERS, LARGEST_BODY, LONGEST_PATH


def sent(desk: Served, text: str) -> tuple[int, dict[str, str], bytes]:
    """(status, headers in lower case, body) of bytes sent as they are, with what is in braces filled in."""
    filled = text.format(
        inside=f"/{desk.secrets.prefix}",
        host=f"Host: 127.0.0.1:{desk.port}\r\n",
        port=desk.port,
        cookie=f"Cookie: {desk.headers['Cookie']}\r\n",
        page="".join(f"{name}: {value}\r\n" for name, value in desk.headers.items()),
        end="Connection: close\r\n\r\n",
    )
    with socket.create_connection(("127.0.0.1", desk.port), 10) as raw:
        raw.sendall(filled.encode("latin-1"))
        head, _, body = raw.makefile("rb").read().partition(b"\r\n\r\n")
    first, *lines = head.decode("latin-1").split("\r\n")
    pairs = (line.partition(":") for line in lines)
    return int(first.split(" ")[1]), {name.lower(): value.strip() for name, _, value in pairs}, body


REFUSED = {
    "an address of another server": (
        "GET http://evil.example{inside}/api/version HTTP/1.1\r\n{host}{cookie}{end}",
        403,
    ),
    "a whole address": ("GET http://127.0.0.1:{port}{inside}/api/version HTTP/1.1\r\n{host}{cookie}{end}", 403),
    "two slashes": ("GET /{inside}/api/version HTTP/1.1\r\n{host}{cookie}{end}", 403),
    "dots before the secret word": ("GET /x/..{inside}/api/version HTTP/1.1\r\n{host}{cookie}{end}", 403),
    "no host in HTTP 1.0": ("GET {inside}/api/version HTTP/1.0\r\n{cookie}{end}", 403),
    "an empty host": ("GET {inside}/api/version HTTP/1.1\r\nHost:\r\n{cookie}{end}", 403),
    "a host that goes on": (
        "GET {inside}/api/version HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\n evil\r\n{cookie}{end}",
        403,
    ),
    "a host with a name before it": (
        "GET {inside}/api/version HTTP/1.1\r\nHost: evil@127.0.0.1:{port}\r\n{cookie}{end}",
        403,
    ),
    "a host that another follows": (
        "GET {inside}/api/version HTTP/1.1\r\nHost: 127.0.0.1:{port},evil.example\r\n{cookie}{end}",
        403,
    ),
    "a host said by a proxy": (
        "GET {inside}/api/version HTTP/1.1\r\nHost: evil.example\r\nX-Forwarded-Host: 127.0.0.1:{port}\r\n{cookie}{end}",
        403,
    ),
    "the token in place of the cookie": ("GET {inside}/api/version?token=x HTTP/1.1\r\n{host}{end}", 403),
    "a web socket of another origin": (
        "GET {inside}/api/version HTTP/1.1\r\n{host}{cookie}Origin: http://evil.example\r\nSec-Fetch-Site: cross-site\r\n"
        "Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"
        "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n",
        403,
    ),
    "something posted to the first address": (
        "POST / HTTP/1.1\r\n{page}Content-Length: 2\r\n{end}{{}}",
        405,
    ),
    "another way to say POST": (
        "GET {inside}/api/decide HTTP/1.1\r\n{page}X-HTTP-Method-Override: POST\r\nContent-Length: 2\r\n{end}{{}}",
        405,
    ),
    "a connection to elsewhere": ("CONNECT evil.example:443 HTTP/1.1\r\n{host}{cookie}{end}", 405),
    "two origins": (
        "POST {inside}/api/undo HTTP/1.1\r\n{page}Origin: http://127.0.0.1:{port}\r\nContent-Length: 2\r\n{end}{{}}",
        403,
    ),
    "two kinds of content": (
        "POST {inside}/api/undo HTTP/1.1\r\n{page}Content-Type: text/plain\r\nContent-Length: 2\r\n{end}{{}}",
        415,
    ),
    "a body that does not tell its size": (
        "POST {inside}/api/undo HTTP/1.1\r\n{page}Transfer-Encoding: chunked\r\n{end}2\r\n{{}}\r\n0\r\n\r\n",
        413,
    ),
    "a body with two sizes": (
        "POST {inside}/api/undo HTTP/1.1\r\n{page}Content-Length: 2\r\nTransfer-Encoding: chunked\r\n{end}2\r\n{{}}\r\n0\r\n\r\n",
        413,
    ),
    "a body that is too large": (
        f"POST {{inside}}/api/undo HTTP/1.1\r\n{{page}}Content-Length: {LARGEST_BODY + 1}\r\n{{end}}",
        413,
    ),
    "an address that is too long": (
        f"GET {{inside}}/api/image/{'9' * LONGEST_PATH} HTTP/1.1\r\n{{host}}{{cookie}}{{end}}",
        414,
    ),
}


@pytest.mark.parametrize(("request_text", "status"), REFUSED.values(), ids=REFUSED.keys())
def test_it_is_refused_with_the_headers_and_tells_nothing(reading, request_text, status):
    found, headers, body = sent(reading, request_text)
    assert found == status, body
    assert {name.decode() for name in HEADERS} <= headers.keys()
    secrets = (reading.secrets.prefix, reading.secrets.writing, reading.secrets.session, reading.secrets.token)
    assert not any(word.encode() in body for word in secrets) and "set-cookie" not in headers


@pytest.mark.parametrize(
    "noise", ["GET {inside}/images\r\n\r\n", "\x16\x03\x01\x02\x00\x01\r\n\r\n", "GET / HTTP/1.1\r\nbroken\r\n\r\n"]
)
def test_what_is_no_request_is_answered_400_and_the_desk_goes_on(reading, noise):
    assert sent(reading, noise)[0] == 400
    assert reading.get("api/version")["version"]


def test_a_connection_that_says_nothing_more_keeps_nobody_from_the_desk(reading):
    with socket.create_connection(("127.0.0.1", reading.port), 10) as half:
        half.sendall(f"GET /{reading.secrets.prefix}/api/version HTTP/1.1\r\nHost: 127".encode())
        assert reading.get("api/version")["version"]


def test_every_page_and_every_script_needs_the_session(reading):
    inside = [page.name for page in PAGES] + ["assets/desk.css", "assets/desk.js", "nothing"]
    for name in inside:
        status, headers, body = sent(reading, f"GET {{inside}}/{name} HTTP/1.1\r\n{{host}}{{end}}")
        assert status == 403 and body == b"open the address that prep review printed", name
        assert reading.secrets.writing.encode() not in body
    for page in PAGES:
        status, headers, body = sent(reading, f"GET {{inside}}/{page.name} HTTP/1.1\r\n{{host}}{{cookie}}{{end}}")
        assert status == 200 and headers["cache-control"] == "no-store", page.name
        assert reading.secrets.token.encode() not in body and reading.secrets.session.encode() not in body, page.name


def test_a_head_is_answered_like_a_get_without_what_it_holds(reading):
    for name in ("images", "api/version"):
        status, headers, body = sent(reading, f"HEAD {{inside}}/{name} HTTP/1.1\r\n{{host}}{{cookie}}{{end}}")
        assert status == 200 and body == b"" and int(headers["content-length"]) > 0
    assert sent(reading, "HEAD {inside}/images HTTP/1.1\r\n{host}{end}")[::2] == (403, b"")


def test_the_icon_that_browsers_ask_for_by_themselves_is_none(reading):
    status, headers, body = sent(reading, "GET /favicon.ico HTTP/1.1\r\n{host}{end}")
    assert status == 204 and body == b"" and headers["x-content-type-options"] == "nosniff"


def test_a_page_leaves_nothing_to_run_but_the_desks_own_scripts(reading):
    for page in PAGES:
        text = reading.get(page.name).decode()
        assert "<style" not in text and " style=" not in text and "javascript:" not in text, page.name
        assert " on" not in text.replace("\n", " ").partition("<body")[2].partition(">")[0]
        for opened in text.split("<script")[1:]:
            assert "src=" in opened.partition(">")[0] and opened.partition(">")[2].startswith("</script"), page.name
