"""What is known of every image, one row each in order of path."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from pipeline.store.records import Decision, Image

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

PERSON_FIELDS = ("manual_caption", "manual_edits", "manual_keep", "manual_anchor", "manual_repeats")
"""Decisions of a person about one image."""


@dataclass(frozen=True, slots=True)
class TagColumn:
    """Tags of all captions: `places` is a tag, as spellings have it in common, → the rows of the images that have it, in order;
    `names` how it is written; `counts` (n,) how many tags each image has."""

    places: Mapping[str, NDArray[np.int64]]
    names: Mapping[str, str]
    counts: NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Snapshot:
    """A state of the set. All sequences and arrays have one place for each image.

    `figures` are columns of measurements by name, NaN where nothing is known; `groups` the number of an image's group of
    copies, -1 where it has none; `edited` the images about which a person decided something.
    """

    version: int
    ids: Sequence[int]
    rows: Mapping[int, int]
    """Id → its place."""
    images: Sequence[Image]
    contents: Mapping[str, int]
    """Content → the place of an image of it."""
    concepts: Sequence[str]
    kept: NDArray[np.bool_]
    verdicts: Sequence[Decision | None]
    captions: Sequence[str]
    tags: TagColumn
    flags: Sequence[tuple[str, ...]]
    contradicting: NDArray[np.bool_]
    figures: Mapping[str, NDArray[np.float64]]
    groups: NDArray[np.int64]
    edited: NDArray[np.bool_]
    lacks: Mapping[str, NDArray[np.bool_]]
    """Field → the kept images that have no decision of it."""

    def __len__(self) -> int:
        return len(self.images)
