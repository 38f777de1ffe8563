"""Near neighbours among 256-bit hashes: exact, and quick for a million of them."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

BITS = 256
MAX_RADIUS = 31
"""The largest distance that is searched for; PDQ's authors take hashes up to it for the same content."""
FEW = 4096
"""Up to this many hashes are compared with one another outright: quicker than an index, and exact all the same."""
CHUNK = 64
"""Rows asked for at once: few, so that memory stays flat where thousands of rows are all near each other."""

Alike = Callable[[int, NDArray[np.int64]], NDArray[np.bool_]]
"""Which of (k,) other rows are like a row in all else that matters; on macOS it is sent to another process."""


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
    if sys.platform == "darwin" and len(hashes) > FEW:
        return in_child(_keepers, hashes, radius, alike, may_keep)
    return _keepers(hashes, radius, alike, may_keep)


def in_child(work: Callable[..., Any], *arguments: Any) -> Any:
    """Call a function in a process of its own: torch's and faiss' wheels for macOS each bring an OpenMP runtime, and
    two of them in one process can abort it."""
    from concurrent.futures import ProcessPoolExecutor
    from multiprocessing import get_context

    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool:
        return pool.submit(work, *arguments).result()


def _keepers(
    hashes: NDArray[np.uint8], radius: int, alike: Alike, may_keep: NDArray[np.bool_]
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
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
    search = _compared(hashes, radius) if len(hashes) <= FEW else _indexed(hashes, radius)
    for start in range(0, len(hashes), CHUNK):
        a, b, distance = search(start + np.flatnonzero(asking[start : start + CHUNK]))
        later = b > a
        a, b, distance = a[later], b[later], distance[later]
        order = np.lexsort((b, a))
        yield a[order], b[order], distance[order]


Search = Callable[[NDArray[np.int64]], tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int64]]]


def _compared(hashes: NDArray[np.uint8], radius: int) -> Search:
    words = np.ascontiguousarray(hashes).view(np.uint64)

    def search(rows: NDArray[np.int64]) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int64]]:
        found = [(row, np.bitwise_count(words ^ words[row]).sum(axis=1, dtype=np.int64)) for row in rows]
        near = [(row, np.flatnonzero(bits <= radius), bits) for row, bits in found]
        none = np.zeros(0, dtype=np.int64)
        return (
            np.concatenate([none, *(np.full(len(others), row) for row, others, _ in near)]),
            np.concatenate([none, *(others for _, others, _ in near)]),
            np.concatenate([none, *(bits[others] for _, others, bits in near)]),
        )

    return search


def _indexed(hashes: NDArray[np.uint8], radius: int) -> Search:
    import faiss

    bands, bits, flips = banding(len(hashes), radius)
    index = faiss.IndexBinaryMultiHash(BITS, bands, bits)
    index.nflip = flips
    index.add(np.ascontiguousarray(hashes))

    def search(rows: NDArray[np.int64]) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int64]]:
        if not len(rows):
            return rows, rows, rows
        limits, distance, found = index.range_search(hashes[rows], radius + 1)  # faiss means: below
        counts = limits[1:].astype(np.int64) - limits[:-1].astype(np.int64)
        return np.repeat(rows, counts), found, distance.astype(np.int64)

    return search


def banding(count: int, radius: int) -> tuple[int, int, int]:
    """Bands, bits in each and flips for an exact search.

    Of b bands one is untouched where fewer than b bits differ, and has one bit changed at most where fewer than 2b
    do (the pigeonhole principle): looking up each band, in the second case with each of its bits flipped in turn,
    misses no neighbour. Fewer and longer bands, which need flips, are the quicker where short ones would each hold
    several rows that are no neighbours.
    """
    needed = (count - 1).bit_length()
    flips = 0 if BITS // (radius + 1) + 2 >= needed else 1
    bands = max(4, radius // (flips + 1) + 1)
    return bands, min(BITS // bands, 32, max(8, needed + 2)), flips
