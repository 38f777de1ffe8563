"""All images: asked for, shown, and decided about."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from pipeline.core.errors import PrepError
from pipeline.review.deciding import acts, updating
from pipeline.review.desk import Desk
from pipeline.review.pages import pictures
from pipeline.review.pages.page import Page
from pipeline.review.query.completing import complete_query, complete_tag
from pipeline.review.query.searching import ORDERS, facets, search
from pipeline.review.server.answers import Document, number_of, reading, writing
from pipeline.review.snapshot.cells import cells
from pipeline.review.snapshot.large_view import large_view

AT_ONCE = 200

Asked = Mapping[str, str]


def _images(desk: Desk, asked: Asked) -> Document:
    snapshot = desk.snapshot()
    found = search(snapshot, desk.scores, asked.get("q", ""), asked.get("sort", "path"))
    ids = snapshot.ids
    return {"ids": [ids[row] for row in found.rows.tolist()], "total": len(snapshot), "words": found.words}


def _facets(desk: Desk, asked: Asked) -> Document:
    snapshot = desk.snapshot()
    return dict(facets(snapshot, search(snapshot, desk.scores, asked.get("q", "")).rows))


def _cells(desk: Desk, asked: Asked) -> Document:
    found = (number_of(each) for each in asked.get("ids", "").split(","))
    numbers = [each for each in found if each is not None][:AT_ONCE]
    snapshot = desk.snapshot()
    return {"cells": addressed(desk.read(lambda manifest: cells(snapshot, manifest, numbers)))}


def addressed(found: Iterable[Document]) -> list[Document]:
    """With the addresses of their images, below the desk's own."""
    return [{**cell, "thumb": f"thumb/{cell['content']}.webp"} for cell in found]


def _image(desk: Desk, asked: Asked) -> Document:
    snapshot, number = desk.snapshot(), int(asked["number"])
    if number not in snapshot.rows:
        raise PrepError("this image is not in the set any more", "look at the list again")
    view = desk.read(lambda manifest: large_view(snapshot, manifest, number))
    if view["regularization"] is not None:
        view["regularization"]["thumb"] = f"regularization/{number}.webp"
    preview = f"preview/{view['content']}.webp"
    return {**addressed([view])[0], "copies": addressed(view["copies"]), "preview": preview}


def _version(desk: Desk, asked: Asked) -> Document:
    desk.snapshot()
    return {"busy": desk.busy(), "undo": len(desk.runs), "redo": len(desk.undone)}


def _complete(desk: Desk, asked: Asked) -> Document:
    snapshot, typed = desk.snapshot(), asked.get("typed", "")[:500]
    complete = complete_query if asked.get("what") == "query" else complete_tag
    return {"choices": complete(snapshot, desk.scores(), typed)}


def _given(desk: Desk) -> Mapping[str, Any]:
    return {"orders": ORDERS}


PAGE = Page(
    "images",
    "Images",
    (
        *pictures.ROUTES,
        reading("images", _images),
        reading("facets", _facets),
        reading("cells", _cells),
        reading("image/{number:int}", _image),
        reading("version", _version),
        reading("complete", _complete),
        reading("stale", updating.stale_now),
        writing("decide", acts.decide),
        writing("undo", acts.take_back),
        writing("redo", acts.bring_back),
        writing("update", updating.update),
    ),
    _given,
)
