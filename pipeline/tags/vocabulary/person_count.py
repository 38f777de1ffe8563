"""How many persons the tags of an image speak of."""

from __future__ import annotations

import functools
import re
from collections.abc import Iterable, Mapping

_COUNT = re.compile(r"(\d+)\+?(girl|boy|other)s?")
_SEVERAL = (
    "multiple views, inset, chibi inset, reference inset, photo inset, projected inset, zoom layer, split screen, "
    "comic, 1koma, 2koma, 3koma, 4koma, 5koma, square 4koma, multiple 4koma, silent comic, segmented comic, collage, "
    "reference sheet, expression chart, variations, before and after, age progression, multiple monochrome, "
    "dual persona, multiple persona, clone"
)
_PICTURES = frozenset(_SEVERAL.split(", "))
_MULTIPLE = {"multiple girls": "girl", "multiple boys": "boy", "multiple others": "other"}


@functools.cache
def is_count(tag: str) -> bool:
    """Whether a tag says how many persons there are."""
    return bool(_COUNT.fullmatch(tag)) or tag in _MULTIPLE or tag in ("solo", "no humans")


def several_pictures(tags: Iterable[str]) -> bool:
    """Whether an image holds several pictures, as a comic or a sheet of views: a person may stand in it more than once,
    dressed otherwise each time, so that not one thing is true of it."""
    return not _PICTURES.isdisjoint(tags)


def people(tags: Mapping[str, float]) -> int | None:
    """Persons by the most probable count of each kind, and at least what `solo` or `multiple girls` says.

    Returns:
        None when no tag speaks of it; 0 for `no humans` alone.
    """
    best: dict[str, tuple[float, int]] = {}
    for tag in filter(is_count, tags):
        found, score = _COUNT.fullmatch(tag), tags[tag]
        if found:
            best[found[2]] = max(best.get(found[2], (0.0, 0)), (score, int(found[1])))
    counts = {kind: number for kind, (_, number) in best.items()}
    for tag, kind in _MULTIPLE.items():
        if tag in tags and kind not in counts:
            counts[kind] = 2
    if counts:
        return sum(counts.values())
    return 1 if "solo" in tags else 0 if "no humans" in tags else None
