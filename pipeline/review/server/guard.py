"""Who may speak with the desk: judged by the raw request, before any page sees it.

A page of another origin can have a browser send requests here, and other users of this machine can reach the port. So: the
Host must be ours, port included (else a rebound name would pass for the same origin); every address but the first holds a
secret word and needs the cookie besides; what changes something needs our Origin, a secret header and JSON too, which no form
and no image can send.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, MutableMapping
from dataclasses import dataclass
from typing import Any

from pipeline.review.server.secrets import Secrets, same

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
App = Callable[[Scope, Receive, Send], Awaitable[None]]

WRITING_HEADER = b"x-prep-desk"
LARGEST_BODY = 2**22
"""Bytes of what may be sent to be decided."""
LONGEST_PATH = 2000
"""Letters of an address without its question; no page asks for as many."""
FOREIGN = frozenset((b"cross-site", b"same-site"))
"""What Sec-Fetch-Site says of requests that another origin began; ports of one host are the same site."""
POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; form-action 'none'; "
    "base-uri 'none'; frame-ancestors 'none'; require-trusted-types-for 'script'"
)
HEADERS = {
    b"x-content-type-options": b"nosniff",
    b"referrer-policy": b"same-origin",
    b"cross-origin-opener-policy": b"same-origin",
    b"cross-origin-resource-policy": b"same-origin",
    b"content-security-policy": POLICY.encode(),
    b"cache-control": b"no-store",
}
"""On every answer, where the answer has none of its own."""


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why a request is not answered, as a status and a few words that tell nothing."""

    status: int
    words: str


class Guard:
    """Wraps the whole app: what is refused never reaches it, and every answer has the headers."""

    def __init__(self, app: App, secrets: Secrets, port: int) -> None:
        self._app, self._secrets, self.cookie = app, secrets, cookie_name(port)
        self.authorities = frozenset((f"127.0.0.1:{port}".encode(), f"localhost:{port}".encode()))

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            return
        refusal = self.judge(scope)

        async def told(message: Message) -> None:
            if message["type"] == "http.response.start":
                message = {**message, "headers": _with_own(message.get("headers", ()))}
            await send(message)

        if refusal is None:
            await self._app(scope, receive, told)
            return
        body = refusal.words.encode()
        await told({"type": "http.response.start", "status": refusal.status, "headers": _plain(body)})
        await told({"type": "http.response.body", "body": b"" if scope["method"] == "HEAD" else body})

    def judge(self, scope: Scope) -> Refusal | None:
        """Why a request is refused, None where it is not."""
        headers: list[tuple[bytes, bytes]] = [(name.lower(), value) for name, value in scope["headers"]]
        method, path = scope["method"], scope["path"]
        if _only(headers, b"host") not in self.authorities:
            return Refusal(403, "this is not an address of the desk")
        if method not in ("GET", "HEAD", "POST"):
            return Refusal(405, "only GET and POST are answered")
        if len(path) > LONGEST_PATH:
            return Refusal(414, "this address is too long")
        if path == "/favicon.ico":
            return Refusal(204, "")
        if path == "/":
            return None if method != "POST" else Refusal(405, "nothing is posted here")
        if self._foreign(headers) or not self._inside(path) or not self._known(headers):
            return Refusal(403, "open the address that prep review printed")
        return self._judge_writing(headers) if method == "POST" else None

    def _judge_writing(self, headers: list[tuple[bytes, bytes]]) -> Refusal | None:
        host, origin = _only(headers, b"host"), _only(headers, b"origin")
        secret = (_only(headers, WRITING_HEADER) or b"").decode("latin-1")
        if origin is None or host is None or origin != b"http://" + host or not same(secret, self._secrets.writing):
            return Refusal(403, "this did not come from a page of the desk")
        kind = (_only(headers, b"content-type") or b"").partition(b";")[0].strip().lower()
        if kind != b"application/json":
            return Refusal(415, "send JSON")
        length = _only(headers, b"content-length") or b""
        in_parts = any(name == b"transfer-encoding" for name, _ in headers)
        if in_parts or not length.isdigit() or int(length) > LARGEST_BODY:
            return Refusal(413, "this is too much at once")
        return None

    @staticmethod
    def _foreign(headers: list[tuple[bytes, bytes]]) -> bool:
        return any(name == b"sec-fetch-site" and value.lower() in FOREIGN for name, value in headers)

    def _inside(self, path: str) -> bool:
        """Whether an address lies under the secret word."""
        return same(path[1:].partition("/")[0], self._secrets.prefix)

    def _known(self, headers: list[tuple[bytes, bytes]]) -> bool:
        """Whether the cookie of this run came along, once."""
        text = b"; ".join(value for name, value in headers if name == b"cookie").decode("latin-1")
        pairs = (part.strip().partition("=") for part in text.split(";"))
        held = [value for name, _, value in pairs if name == self.cookie]
        return len(held) == 1 and same(held[0], self._secrets.session)


def cookie_name(port: int) -> str:
    """All ports of a host share one jar, so the name has the port in it."""
    return f"prep-desk-{port}"


def _only(headers: Iterable[tuple[bytes, bytes]], name: bytes) -> bytes | None:
    """The value of a header that is there exactly once."""
    found = [value for key, value in headers if key == name]
    return found[0] if len(found) == 1 else None


def _with_own(headers: Iterable[tuple[bytes, bytes]]) -> list[tuple[bytes, bytes]]:
    held = [(name.lower(), value) for name, value in headers]
    there = {name for name, _ in held}
    return [*held, *((name, value) for name, value in HEADERS.items() if name not in there)]


def _plain(body: bytes) -> list[tuple[bytes, bytes]]:
    return [(b"content-type", b"text/plain; charset=utf-8"), (b"content-length", str(len(body)).encode())]
