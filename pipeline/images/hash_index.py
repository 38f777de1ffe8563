"""Near neighbours among 256-bit hashes: exact, and quick for a million of them."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np
from numpy.typing import NDArray

from pipeline.images.band_index import BandIndex, Pairs, Rows

MAX_RADIUS = 31
"""The largest distance that is searched for; PDQ's authors take hashes up to it for the same content."""
FEW = 4096
"""Up to this many hashes are compared with one another outright: quicker than an index, and exact all the same."""
CHUNK = 16
"""Rows asked for at once where thousands of rows are all near each other: few, so that memory stays flat, and as most of
them need not be asked for once the first are answered."""
MOST = 16384
"""Rows asked for at once where they have few neighbours."""
CROWD = 2**20
"""Rows that may share a band with those asked for at once."""

Alike = Callable[[int, Rows], NDArray[np.bool_]]
"""Which of (k,) other rows are like a row in all else that matters."""


def keepers(
    hashes: NDArray[np.uint8], radius: int, alike: Alike, may_keep: NDArray[np.bool_]
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """For each row the row that is kept in its stead, and how many bits lie between them.

    Going down the rows, one that is near no kept row is kept itself, and keeps its own number; a row that is dropped
    names the first kept row that it is near to and alike.

    Args:
        hashes: (n, 32) uint8, the best row first.
        radius: bits by which near rows differ at most, 0 to 31.
        alike: what else must hold of two rows.
        may_keep: (n,) whether another row may be dropped in favour of this one.
    """
    keeper, between = np.arange(len(hashes)), np.zeros(len(hashes), dtype=np.int64)
    asking = may_keep.copy()
    for a, b, distance in near_pairs(hashes, radius, asking):
        rows, starts = np.unique(a, return_index=True)
        for row, others, bits in zip(rows, np.split(b, starts[1:]), np.split(distance, starts[1:]), strict=False):
            free = keeper[others] == others
            if keeper[row] == row and free.any():
                free[free] = alike(int(row), others[free])
                keeper[others[free]], between[others[free]] = row, bits[free]
                asking[others[free]] = False
    return keeper, between


def near_pairs(
    hashes: NDArray[np.uint8], radius: int, asking: NDArray[np.bool_]
) -> Iterator[tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int64]]]:
    """Yield (a, b, distance) with a < b for all pairs of rows within `radius`, some rows a at a time, in order of both.

    Args:
        hashes: (n, 32) uint8.
        radius: bits, 0 to 31.
        asking: (n,) which rows are asked for as a. The caller may clear more of them between two answers: of
            thousands of rows that are all near each other, few need to be asked for.
    """
    assert 0 <= radius <= MAX_RADIUS
    index = BandIndex(hashes, radius) if len(hashes) > FEW else None
    start, size = 0, CHUNK
    while start < len(hashes):
        rows = start + np.flatnonzero(asking[start : start + size])
        if index is not None and size > CHUNK and index.crowd[rows].sum() > CROWD:
            size = max(CHUNK, size // 4)
            continue
        a, b, distance = _compared(hashes, radius, rows) if index is None else index.later_neighbours(rows)
        order = np.lexsort((b, a))
        yield a[order], b[order], distance[order]
        start += size
        size = CHUNK if index is None else min(2 * size, MOST)


def _compared(hashes: NDArray[np.uint8], radius: int, rows: Rows) -> Pairs:
    """Pairs of one of the rows and a row behind it, found by comparing all."""
    words = np.ascontiguousarray(hashes).view(np.uint64)
    bits = [np.bitwise_count(words[row + 1 :] ^ words[row]).sum(axis=1, dtype=np.int64) for row in rows]
    near = [np.flatnonzero(each <= radius) for each in bits]
    none = np.zeros(0, np.int64)
    return (
        np.repeat(rows, [len(each) for each in near]),
        np.concatenate([none, *(row + 1 + each for row, each in zip(rows, near, strict=True))]),
        np.concatenate([none, *(each[places] for each, places in zip(bits, near, strict=True))]),
    )
