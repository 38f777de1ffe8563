"""The routes that give images: of the set by content, regularization images by their image, those of runs by a word."""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import partial
from pathlib import Path

from anyio import CapacityLimiter, to_thread
from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from pipeline.core.errors import PrepError
from pipeline.review.desk import Desk
from pipeline.review.runs.folders import GRIDS, RUNS, image_of
from pipeline.review.server.answers import image
from pipeline.review.thumbnails.making import KIND, LARGE, SMALL, nothing, shown, thumbnail

_CONTENT = re.compile(r"[0-9a-f]{64}")


async def _made(request: Request, work: Callable[[], bytes]) -> bytes:
    """What some work makes of an image, a few at a time: each holds all pixels of a file."""
    limiter: CapacityLimiter = request.app.state.decoding
    return await to_thread.run_sync(work, abandon_on_cancel=True, limiter=limiter)


def _sent(content: bytes) -> Response:
    return image(content, KIND, lasting=content != nothing())


async def _thumb(request: Request) -> Response:
    desk, content = request.app.state.desk, request.path_params["content"]
    file = await run_in_threadpool(_file_of, desk, content)
    return _sent(await _made(request, partial(thumbnail, desk.root, file, content)))


async def _preview(request: Request) -> Response:
    desk, content = request.app.state.desk, request.path_params["content"]
    file = await run_in_threadpool(_file_of, desk, content)
    return _sent(await _made(request, partial(shown, file, LARGE)))


def _file_of(desk: Desk, content: str) -> Path:
    """The file of a content that the set has."""
    if not _CONTENT.fullmatch(content):
        raise HTTPException(404)
    snapshot = desk.snapshot()
    row = snapshot.contents.get(content)
    if row is None:
        raise HTTPException(404)
    return _inside(desk, snapshot.images[row].path)


def _inside(desk: Desk, path: str) -> Path:
    """A file of the set; one that a record from elsewhere leads out of it is not there."""
    file = (desk.root / path).absolute()
    if ".." in Path(path).parts or not file.is_relative_to(desk.root.absolute()):
        raise HTTPException(404)
    return file


async def _regularization(request: Request) -> Response:
    desk = request.app.state.desk
    path = desk.path_of(request.path_params["number"])
    found = await run_in_threadpool(desk.read, lambda manifest: manifest.decisions_of(path, ("regularization",)))
    if not found:
        raise HTTPException(404)
    file = _inside(desk, found[0].value.images[0].path)
    return _sent(await _made(request, partial(shown, file, SMALL)))


async def _of_run(request: Request) -> Response:
    asked, desk = request.path_params, request.app.state.desk
    if asked["kind"] not in (RUNS, GRIDS):
        raise HTTPException(404)
    try:
        file = await run_in_threadpool(image_of, desk.root, asked["kind"], asked["name"], asked["word"])
    except PrepError as error:
        raise HTTPException(404) from error
    return _sent(await _made(request, partial(shown, file, LARGE)))


ROUTES = (
    Route("/thumb/{content}.webp", _thumb, methods=["GET"]),
    Route("/preview/{content}.webp", _preview, methods=["GET"]),
    Route("/regularization/{number:int}.webp", _regularization, methods=["GET"]),
    Route("/run-image/{kind}/{name}/{word}", _of_run, methods=["GET"]),
)
