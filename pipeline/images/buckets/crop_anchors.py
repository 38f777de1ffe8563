"""Anchors: what a crop holds on to. A crop is a window in the scaled image, moved along the side that is cut."""

from __future__ import annotations

import functools
import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import PurePosixPath

import numpy as np
from numpy.typing import NDArray

from pipeline.core.filenames import fits_pattern
from pipeline.images.buckets.buckets import Size, Sizes
from pipeline.images.buckets.detail_profile import STRIPS
from pipeline.store.values.bucket import CENTRE

SUBJECT, FACE = "subject", "face"
ALIGNED = {CENTRE: (0.5, 0.5), "top": (0.5, 0.0), "bottom": (0.5, 1.0), "left": (0.0, 0.5), "right": (1.0, 0.5)}
"""Named anchors: the part of what juts out that is cropped on the left, and above."""
NEAR = 0.01
"""Windows that hold this much less of all detail than the best one count as good, and the middlemost is taken."""
PLACES = 32
"""A window is tried at 33 places between its two ends."""
AT_ONCE = 4096
"""How many images' windows are weighed at once, so that memory stays small."""
_BOX = re.compile(r".+" + r"_(\d{1,9})" * 4)


@dataclass(frozen=True, slots=True)
class Anchor:
    """A parsed anchor: a point of the image to keep in the middle, in parts of its sides, or a named one."""

    name: str
    point: tuple[float, float] | None = None


@functools.cache
def parse(text: str) -> Anchor:
    """An anchor as a person writes it.

    Raises:
        ValueError: the text is none; it says what is expected.
    """
    name = text.strip()
    if name in ALIGNED or name == SUBJECT:
        return Anchor(name)
    parts = name.split(",")
    try:
        x, y = (float(part) for part in parts)
    except ValueError:
        x = y = math.nan
    if not (0 <= x <= 1 and 0 <= y <= 1):
        known = ", ".join((*ALIGNED, SUBJECT))
        raise ValueError(f"expected one of {known}, or x,y in parts of the image, such as 0.5,0.3")
    return Anchor(f"{x:g},{y:g}", (x, y))


@dataclass(frozen=True, slots=True)
class Choice:
    """Which anchor each image was given, and the keys that fit none of them."""

    names: tuple[str, ...]
    unused: tuple[str, ...]


def chosen(
    paths: Sequence[str], default: str, given: Mapping[str, str], by_person: Mapping[str, str] | None = None
) -> Choice:
    """The anchor of each path: its own key goes before a pattern, a later pattern before an earlier one.

    Args:
        by_person: path → what a person chose for this very image, which goes before all others.
    """
    names = dict.fromkeys(paths, default)
    unused = []
    for key, name in given.items():
        hits = [path for path in paths if fits_pattern(path, key)]
        names.update(dict.fromkeys(hits, name))
        if not hits and key not in names:
            unused.append(key)
    names.update({key: name for key, name in given.items() if key in names})
    own = by_person or {}
    return Choice(tuple(own.get(path, names[path]) for path in paths), tuple(unused))


# --- where the window goes


def place(anchors: Sequence[str], scaled: Sizes, sizes: Sizes, strips: NDArray[np.uint8]) -> Sizes:
    """The left and upper edge of each crop, in pixels of the scaled image.

    Args:
        anchors: N names that `parse` knows.
        scaled: (N, 2) sizes of the scaled images.
        sizes: (N, 2) sizes of their crops.
        strips: (N, 2, 32) detail per column and row strip; zeros where it is not known, which means the middle.
    Returns:
        (N, 2), 0 to what juts out.
    """
    jut = scaled - sizes
    kinds = {name: parse(name) for name in set(anchors)}
    numbers = {name: number for number, name in enumerate(kinds)}
    kind = np.array([numbers[name] for name in anchors], np.int64)
    aligned = np.array([ALIGNED.get(anchor.name, ALIGNED[CENTRE]) for anchor in kinds.values()])
    corners: NDArray[np.int64] = np.floor(jut * aligned.reshape(-1, 2)[kind]).astype(np.int64)
    points = np.array([anchor.point or (np.nan, np.nan) for anchor in kinds.values()]).reshape(-1, 2)[kind]
    given = ~np.isnan(points[:, 0])
    middles = np.floor(points[given] * scaled[given] - sizes[given] / 2 + 0.5)
    corners[given] = np.clip(middles, 0, jut[given])
    held = np.array([anchor.name == SUBJECT for anchor in kinds.values()], bool)[kind]
    for axis in (0, 1):
        moved = np.flatnonzero(held & (jut[:, axis] > 0))
        for some in np.array_split(moved, len(moved) // AT_ONCE + 1):
            corners[some, axis] = _fullest(strips[some, axis], scaled[some, axis], sizes[some, axis])
    return corners


def _fullest(strips: NDArray[np.uint8], length: NDArray[np.int64], window: NDArray[np.int64]) -> NDArray[np.int64]:
    """Where along one axis the window holds most detail; of places about as good the one nearest to the middle.

    Args:
        strips: (N, 32) detail per strip of the axis.
        length, window: (N,) pixels of the axis and of the window in it.
    """
    starts = (length - window)[:, None] * np.arange(PLACES + 1) // PLACES
    total = strips.sum(1, keepdims=True)
    running = np.zeros((len(strips), STRIPS + 2))  # one more at the end, so that the last edge has a next one
    np.cumsum(strips, axis=1, dtype=np.float64, out=running[:, 1:-1])
    running[:, -1] = running[:, -2]
    running /= np.where(total > 0, total, 1)
    inside = _up_to(running, starts + window[:, None], length) - _up_to(running, starts, length)
    good = inside >= inside.max(1, keepdims=True) - NEAR
    away = np.where(good, np.abs(starts - starts[:, PLACES // 2, None]), length.max(initial=0) + 1)
    fullest: NDArray[np.int64] = starts[np.arange(len(starts)), away.argmin(1)]
    return fullest


def _up_to(running: NDArray[np.float64], edges: NDArray[np.int64], length: NDArray[np.int64]) -> NDArray[np.float64]:
    """(N, K): the part of all detail that lies before each of the edges, (N, K) pixels."""
    at = edges * STRIPS / length[:, None]
    strip = at.astype(np.int64)
    before = np.take_along_axis(running, strip, 1)
    return before + (np.take_along_axis(running, strip + 1, 1) - before) * (at - strip)


# --- faces that names tell of


def box_in_name(source: str) -> tuple[int, int, int, int] | None:
    """The four numbers that a file name ends in, `_cx_cy_w_h` (a face's middle and sides, kohya-ss/sd-scripts)."""
    found = _BOX.fullmatch(PurePosixPath(source.replace("\\", "/")).stem)
    if not found:
        return None
    x, y, width, height = (int(part) for part in found.groups())
    return x, y, width, height


def face_in(box: tuple[int, int, int, int], image: Size) -> tuple[int, int, int, int] | None:
    """A face as left, top, right, bottom, all in the image; None for a box without area or with its middle outside."""
    x, y, width, height = box
    if not (width and height and x < image[0] and y < image[1]):
        return None
    left, top = max(0, x - width // 2), max(0, y - height // 2)
    return left, top, min(image[0], x + (width + 1) // 2), min(image[1], y + (height + 1) // 2)


def keep_face(corner: Size, face: tuple[int, int, int, int], image: Size, scaled: Size, size: Size) -> Size:
    """Move a crop's corner as little as it takes to hold a face given in pixels of the image before scaling.

    A face longer than the crop has its middle in the middle of the crop.
    """
    x, y = (
        _hold(
            corner[axis],
            face[axis] * scaled[axis] / image[axis],
            face[axis + 2] * scaled[axis] / image[axis],
            size[axis],
            scaled[axis] - size[axis],
        )
        for axis in (0, 1)
    )
    return x, y


def _hold(start: int, first: float, last: float, window: int, jut: int) -> int:
    latest, earliest = math.floor(first), math.ceil(last) - window
    middle = math.floor((first + last - window) / 2 + 0.5)
    moved = middle if earliest > latest else min(max(start, earliest), latest)
    return min(max(moved, 0), jut)
