"""An exact index of 256-bit hashes by bands of their bits: which of them are within a few bits of some of them."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

BITS = 256
AT_ONCE = 2**20
"""Candidates that are looked at together, so that memory stays flat whatever the hashes are."""
LONGEST = 22
"""Bits of a band at most: its table has a place for each value, 16 MB of them."""

Rows = NDArray[np.int64]
Pairs = tuple[Rows, Rows, Rows]
"""(k,) a row, (k,) another, (k,) the bits in which they differ."""


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
    return bands, min(BITS // bands, LONGEST, max(8, needed + 2)), flips


class BandIndex:
    """Finds the later neighbours of rows.

    Every band of a hash is a number, and the rows are sorted by it: those of one number lie together, from a place that a
    table tells. All rows that are asked for are looked up at once.

    Args:
        hashes: (n, 32) uint8.
        radius: bits by which neighbours differ at most, 0 to 31.
    """

    def __init__(self, hashes: NDArray[np.uint8], radius: int) -> None:
        bands, bits, self._flips = banding(len(hashes), radius)
        words = np.ascontiguousarray(hashes).view(np.uint64)
        self._radius, self._words = radius, [np.ascontiguousarray(words[:, place]) for place in range(words.shape[1])]
        self._changes = np.array([0, *(1 << bit for bit in range(bits))][: bits * self._flips + 1], np.uint32)
        self._keys = [_key(hashes, band * bits, bits) for band in range(bands)]
        self._held, self._starts, self._order = [], [], []
        self.crowd = np.zeros(len(hashes), np.int64)
        """(n,) how many rows share a band with a row, one that shares several counted for each."""
        for keys in self._keys:
            counts = np.bincount(keys, minlength=2**bits)
            self.crowd += counts[keys]
            self._held.append(counts > 0)
            self._starts.append(np.concatenate([[0], np.cumsum(counts)]).astype(np.int32))
            self._order.append(np.argsort(keys, kind="stable").astype(np.int32))

    def later_neighbours(self, rows: Rows) -> Pairs:
        """Pairs of one of these rows and a row behind it, each once, in no order."""
        found = [pairs for band in range(len(self._keys)) for pairs in self._of_band(band, rows)]
        one, other, distance = zip((_NONE, _NONE, _NONE), *found, strict=True)
        return np.concatenate(one), np.concatenate(other), np.concatenate(distance)

    def _of_band(self, band: int, rows: Rows) -> list[Pairs]:
        """The neighbours that no earlier band finds."""
        starts, order = self._starts[band], self._order[band]
        values = (self._keys[band][rows][:, None] ^ self._changes).ravel()
        held = np.flatnonzero(self._held[band][values])
        askers, values = rows[held // len(self._changes)], values[held]
        first = starts[values]
        counts = (starts[values + 1] - first).astype(np.int64)
        found, ends = [], np.cumsum(counts)
        for start, stop in _parts(ends):
            here = counts[start:stop]
            skipped = first[start:stop] - (ends[start:stop] - here) + (ends[start - 1] if start else 0)
            others = order[np.repeat(skipped, here) + np.arange(here.sum())].astype(np.int64)
            found.append(self._new(band, *self._near(np.repeat(askers[start:stop], here), others)))
        return found

    def _near(self, one: Rows, other: Rows) -> Pairs:
        later = other > one
        one, other = one[later], other[later]
        distance = np.zeros(len(one), np.int64)
        for word in self._words:  # most are too far away by the first word alone
            distance += np.bitwise_count(word[one] ^ word[other])
            near = distance <= self._radius
            one, other, distance = one[near], other[near], distance[near]
        return one, other, distance

    def _new(self, band: int, one: Rows, other: Rows, distance: Rows) -> Pairs:
        for keys in self._keys[:band]:
            new = np.bitwise_count(keys[one] ^ keys[other]) > self._flips
            one, other, distance = one[new], other[new], distance[new]
        return one, other, distance


_NONE = np.zeros(0, np.int64)


def _key(hashes: NDArray[np.uint8], start: int, bits: int) -> NDArray[np.uint32]:
    """(n,) some bits of every hash as a number."""
    first, last = start // 8, (start + bits - 1) // 8
    key = np.zeros(len(hashes), np.uint64)
    for byte in range(first, last + 1):
        key = (key << np.uint64(8)) | hashes[:, byte]
    key >>= np.uint64(8 * (last + 1) - start - bits)
    return (key & np.uint64(2**bits - 1)).astype(np.uint32)


def _parts(ends: Rows) -> list[tuple[int, int]]:
    """Where to cut lists that end at these places, so that each part has AT_ONCE items or is one list."""
    parts, start, done = [], 0, 0
    while start < len(ends):
        stop = max(start + 1, int(np.searchsorted(ends, done + AT_ONCE, side="right")))
        parts.append((start, stop))
        start, done = stop, int(ends[stop - 1])
    return parts
