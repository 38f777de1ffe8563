"""One tag over all images, or two that contradict: those the tagger is least sure of first, answered yes or no."""

from __future__ import annotations

import math
from collections.abc import Mapping

import numpy as np

from pipeline.core.errors import PrepError
from pipeline.review.desk import Desk
from pipeline.review.pages.page import Page
from pipeline.review.query.searching import search
from pipeline.review.server.answers import Document, reading
from pipeline.tags.editor.spelling import alike


def _tag(desk: Desk, asked: Mapping[str, str]) -> Document:
    """Every kept image of the question with the tag's score, whether its caption has it, and how far that is from doubt."""
    tag, other = asked.get("tag", "").strip(), asked.get("other", "").strip()
    if not tag:
        raise PrepError("no tag is named", "type one")
    band = _band(asked.get("band", ""))
    snapshot, scores = desk.snapshot(), desk.scores()
    found = search(snapshot, desk.scores, asked.get("q", "")).rows
    rows = found[snapshot.kept[found]]
    values = scores.of(tag, snapshot.images)
    threshold = scores.threshold(tag)
    has = np.zeros(len(snapshot), np.bool_)
    has[snapshot.tags.places.get(alike(tag), np.array([], np.int64))] = True
    if other:
        both = np.zeros(len(snapshot), np.bool_)
        both[snapshot.tags.places.get(alike(other), np.array([], np.int64))] = True
        rows = rows[has[rows] | both[rows]]
    doubt = np.nan_to_num(scores.doubt(tag, snapshot.images), nan=np.inf)
    if band is not None:
        rows = rows[doubt[rows] <= band]
    rows = rows[np.lexsort((rows, doubt[rows]))]
    return {
        "tag": scores.names.get(alike(tag), snapshot.tags.names.get(alike(tag), tag)),
        "threshold": threshold,
        "scored": alike(tag) in scores.by_tag,
        "images": [
            [snapshot.ids[row], None if math.isnan(values[row]) else round(float(values[row]), 3), bool(has[row])]
            for row in rows.tolist()
        ],
    }


def _band(text: str) -> float | None:
    try:
        band = float(text) if text else None
    except ValueError:
        band = math.nan
    if band is not None and not 0 <= band <= 1:
        raise PrepError(f"the band is {text[:20]!r}", "give 0 to 1, the distance from the threshold")
    return band


def _list(desk: Desk, asked: Mapping[str, str]) -> Document:
    """Every tag of the captions with its images, and how many of them are doubtful."""
    snapshot, scores = desk.snapshot(), desk.scores()
    rows = []
    for key, places in snapshot.tags.places.items():
        kept = int(np.count_nonzero(snapshot.kept[places]))
        if kept:
            rows.append({"tag": snapshot.tags.names[key], "images": kept, "category": scores.categories.get(key, "")})
    return {"tags": sorted(rows, key=lambda row: (-int(row["images"]), str(row["tag"])))}


PAGE = Page("tags", "Tags", (reading("tag", _tag), reading("tags", _list)))
