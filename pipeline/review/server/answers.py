"""How the desk answers: JSON, pages, images, and problems in the words of a person's mistake."""

from __future__ import annotations

import contextlib
import json
import traceback
from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path
from typing import Any

from anyio import to_thread
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from pipeline.core.errors import PrepError
from pipeline.store.failures import CannotUse, explained

Document = dict[str, Any]
Endpoint = Callable[[Request], Awaitable[Response]]
FAULTS = "cache/desk-faults.log"
LONGEST_NUMBER = 15
IMAGE_POLICY = "default-src 'none'; sandbox"


class Conflict(PrepError):
    """What a person decided rests on what is not so any more; `rows` are the images, with what holds and what was wanted."""

    def __init__(self, message: str, hint: str, rows: list[Document]) -> None:
        super().__init__(message, hint)
        self.rows = rows


class Busy(PrepError):
    """Another prep is at work on the set; nothing was written."""


def number_of(text: object) -> int | None:
    """The number that a page sent as text; None for what is none."""
    word = str(text)
    return int(word) if word.isascii() and word.isdigit() and len(word) <= LONGEST_NUMBER else None


def reading(name: str, work: Callable[[Any, Mapping[str, str]], Document]) -> Route:
    """A route that answers GET api/NAME with a document made of the desk and what was asked."""

    async def endpoint(request: Request) -> Response:
        asked = {**request.query_params, **request.path_params}
        return await _answered(lambda: work(request.app.state.desk, asked), request)

    return Route(f"/api/{name}", endpoint, methods=["GET"])


def writing(name: str, work: Callable[[Any, Document], Document]) -> Route:
    """A route that answers POST api/NAME with a document made of the desk and the JSON that was sent."""

    async def endpoint(request: Request) -> Response:
        try:
            sent = json.loads(await request.body())
            json.dumps(sent, ensure_ascii=False).encode()  # half a character, which no file and no table holds
        except (ValueError, RecursionError):
            return problem(PrepError("this is no JSON", "load the page again"), 400)
        if not isinstance(sent, dict):
            return problem(PrepError("this is no JSON object", "load the page again"), 400)
        return await _answered(lambda: work(request.app.state.desk, sent), request)

    return Route(f"/api/{name}", endpoint, methods=["POST"])


async def _answered(work: Callable[[], Document], request: Request) -> Response:
    try:
        found = await to_thread.run_sync(work, abandon_on_cancel=True)  # Ctrl-C does not wait for what waits itself
    except Exception as error:
        return failed(request.app.state.desk.root, error)
    return JSONResponse({"version": request.app.state.desk.version, **found})


def failed(root: Path, error: Exception) -> JSONResponse:
    """What kept a request from being answered."""
    if isinstance(error, PrepError):
        return problem(error)
    if isinstance(error, CannotUse):
        return problem(explained(error), 503)
    return problem(mistake(root, error), 500)


def mistake(root: Path, error: Exception) -> PrepError:
    """A fault of the desk's own, as a person is told of it; where it happened is kept in the set."""
    file = root / FAULTS
    with contextlib.suppress(OSError):
        file.parent.mkdir(parents=True, exist_ok=True)
        with file.open("a", encoding="utf-8", errors="backslashreplace") as stream:
            stream.write("".join(traceback.format_exception(error)) + "\n")
    return PrepError(
        f"the desk made a mistake: {type(error).__name__}", f"what happened is in {FAULTS} of the set; please report it"
    )


def problem(error: PrepError, status: int | None = None) -> JSONResponse:
    """A problem as the pages show it."""
    found: Document = {"error": error.message, "hint": error.hint}
    if isinstance(error, Conflict):
        found["conflicts"] = error.rows
    return JSONResponse(found, status or (409 if isinstance(error, Conflict | Busy) else 400))


def image(content: bytes, kind: str, lasting: bool = True) -> Response:
    """An image that the desk encoded itself, in which nothing runs; the address holds what it is made of, so it stays.

    Args:
        lasting: not so for a sheet that stands for what cannot be shown now, and can be when its file is back.
    """
    kept = "private, max-age=31536000, immutable" if lasting else "no-store"
    headers = {"Cache-Control": kept, "Content-Security-Policy": IMAGE_POLICY}
    return Response(content, media_type=kind, headers=headers)
