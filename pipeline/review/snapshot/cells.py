"""What the wall shows of an image, and the stamp of what a person saw of it."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Iterable
from typing import Any

from pipeline.review.snapshot.snapshot import PERSON_FIELDS, Snapshot
from pipeline.store.manifest import Manifest
from pipeline.store.tables.rows import columns_of
from pipeline.store.wording import phrase
from pipeline.tags.vocabulary.aliases import split_caption

STAMPED = ("keep", "caption", "bucket", "repeats", *PERSON_FIELDS)
"""What a person decides about one image, and sees of it."""


def stamp(manifest: Manifest, path: str) -> str:
    """A hash of all that a person can decide about an image: another one when somebody decided something meanwhile."""
    rows = [columns_of(row)[:4] for row in manifest.decisions_of(path, STAMPED)]
    return hashlib.sha256(repr(rows).encode("utf-8", "surrogateescape")).hexdigest()[:16]


def cells(snapshot: Snapshot, manifest: Manifest, ids: Iterable[int]) -> list[dict[str, Any]]:
    """A cell for each id that is in the set still."""
    return [_cell(snapshot, manifest, snapshot.rows[number], number) for number in ids if number in snapshot.rows]


def _cell(snapshot: Snapshot, manifest: Manifest, row: int, number: int) -> dict[str, Any]:
    image, verdict = snapshot.images[row], snapshot.verdicts[row]
    repeats, group = float(snapshot.figures["repeats"][row]), int(snapshot.groups[row])
    return {
        "id": number,
        "path": image.path,
        "name": image.path.rpartition("/")[2],
        "concept": image.concept,
        "kept": bool(snapshot.kept[row]),
        "reason": phrase(verdict) if verdict is not None else "not judged yet",
        "content": image.content,
        "width": _whole(snapshot.figures["width"][row]),
        "height": _whole(snapshot.figures["height"][row]),
        "caption": snapshot.captions[row],
        "tags": list(split_caption(snapshot.captions[row])),
        "flags": list(snapshot.flags[row]),
        "repeats": None if math.isnan(repeats) else repeats,
        "edited": bool(snapshot.edited[row]),
        "group": None if group < 0 else group,
        "stamp": stamp(manifest, image.path),
    }


def _whole(value: float) -> int | None:
    return None if math.isnan(value) else int(value)
