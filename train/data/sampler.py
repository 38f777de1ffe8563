"""Which images make up each batch of each epoch: a pure function of the set, the batch size, the seed, the epoch.

- An image with m repeats is shown ⌊Km⌋ or ⌈Km⌉ times over any first K epochs, whole and fractional alike.
- No image is left out because its bucket is short: a short batch stays short, and the loop weighs images, not batches.
- No image is twice in a batch while another of its bucket is waiting.
"""

from __future__ import annotations

import itertools
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from heapq import heapify, heappop, heappush
from math import floor

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

from pipeline.core.seeded import rng

Counts = NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class SampledImage:
    """An image as the sampler sees it: its key, the (width, height) of its bucket, and its repeats."""

    key: str
    bucket: tuple[int, int]
    repeats: float


def exposures(repeats: float, offset: float, epoch: int) -> int:
    """How often an image appears in one epoch (counted from 0): ⌊(e+1)m + u⌋ - ⌊em + u⌋ with offset u in [0, 1).

    Summed over the first K epochs that is ⌊Km + u⌋, so ⌊Km⌋ or ⌈Km⌉. Exact: the sums are made of fractions.
    """
    exact, start = Fraction(repeats).limit_denominator(10**6), Fraction(offset).limit_denominator(10**6)
    return floor(exact * (epoch + 1) + start) - floor(exact * epoch + start)


def offsets(entries: Sequence[SampledImage], seed: int) -> dict[str, float]:
    """Spread the images' offsets evenly over [0, 1), so that every epoch is about equally long."""
    places = _places(len(entries), seed).tolist()
    return {entry.key: place / len(entries) for entry, place in zip(entries, places, strict=True)}


def _places(images: int, seed: int) -> Counts:
    """(N,) the numerator of each image's offset, whose denominator is N."""
    places = np.empty(images, np.int64)
    places[rng("offsets", seed).permutation(images)] = np.arange(images)
    return places


def epoch_batches(
    entries: Sequence[SampledImage], batch_size: int, seed: int, epoch: int
) -> tuple[tuple[str, ...], ...]:
    """The batches of one epoch, each of images of one bucket, in the order they are trained on."""
    waiting: dict[tuple[int, int], dict[str, int]] = defaultdict(dict)
    counts = ExposureCounts(entries, seed).within(epoch).tolist()
    for entry, count in sorted(zip(entries, counts, strict=True), key=lambda pair: pair[0].key):
        if count:
            waiting[entry.bucket][entry.key] = count
    draw = rng("order", seed, epoch)
    batches = [batch for bucket in sorted(waiting) for batch in bucket_batches(waiting[bucket], batch_size, draw)]
    return tuple(batches[index] for index in draw.permutation(len(batches)))


def bucket_batches(waiting: Mapping[str, int], batch_size: int, draw: Generator) -> list[tuple[str, ...]]:
    """Cut one bucket's exposures into batches in the order they are filled.

    A batch takes each waiting image once, those with most exposures left first (chance breaks ties), and only when
    none is left to take, the ones with most exposures left again.
    """
    names = sorted(waiting)
    chances = draw.random(len(names)).tolist()
    heap = [(-waiting[name], chance, name) for name, chance in zip(names, chances, strict=True)]
    heapify(heap)
    batches = []
    while heap:
        taken = [heappop(heap) for _ in range(min(batch_size, len(heap)))]
        batch = [name for _, _, name in taken]
        left = [(minus + 1, chance, name) for minus, chance, name in taken if minus < -1]
        if len(batch) < batch_size:
            heapify(left)
            heap = left
            while heap and len(batch) < batch_size:
                minus, chance, name = heappop(heap)
                batch.append(name)
                if minus < -1:
                    heappush(heap, (minus + 1, chance, name))
        else:
            for (minus, _, name), chance in zip(left, draw.random(len(left)).tolist(), strict=True):
                heappush(heap, (minus, chance, name))
        batches.append(tuple(batch))
    return batches


class ExposureCounts:
    """How often every image is shown in the first epochs, ⌊em + u⌋ as `exposures` has it: with m = a / b and u = p / n
    it is ⌊ea / b⌋ + ⌊((ea mod b) n + p b) / (b n)⌋, whose terms stay below 2⁶³."""

    def __init__(self, entries: Sequence[SampledImage], seed: int) -> None:
        values, which = np.unique([entry.repeats for entry in entries], return_inverse=True)
        exact = [Fraction(float(value)).limit_denominator(10**6) for value in values]
        self._above = np.array([each.numerator for each in exact], np.int64)[which]
        self._below = np.array([each.denominator for each in exact], np.int64)[which]
        self._place, self._images = _places(len(entries), seed), len(entries)

    def until(self, epochs: int) -> Counts:
        """(N,) exposures in the first `epochs` epochs."""
        whole, rest = np.divmod(self._above * epochs, self._below)
        numerator = rest * self._images + self._place * self._below
        exposures: Counts = whole + numerator // (self._below * self._images)
        return exposures

    def within(self, epoch: int) -> Counts:
        """(N,) exposures in one epoch, counted from 0."""
        return self.until(epoch + 1) - self.until(epoch)


def ever_shown(entries: Sequence[SampledImage]) -> bool:
    """Whether any image has repeats that show it in the end."""
    return any(Fraction(value).limit_denominator(10**6) for value in {entry.repeats for entry in entries})


@dataclass(frozen=True, slots=True, eq=False)
class EpochCount:
    """What an epoch comes to, without making its batches: `full` and `partial` ones, and how often each image was shown
    (N,) when it begins and when it ends."""

    full: int
    partial: int
    before: Counts
    after: Counts

    @property
    def batches(self) -> int:
        return self.full + self.partial


def epoch_counts(entries: Sequence[SampledImage], batch_size: int, seed: int) -> Iterator[EpochCount]:
    """Every epoch from the first one on, without end; all images are counted at once."""
    sizes = {size: place for place, size in enumerate(dict.fromkeys(entry.bucket for entry in entries))}
    bucket = np.array([sizes[entry.bucket] for entry in entries], np.int64)
    shown, before = ExposureCounts(entries, seed), np.zeros(len(entries), np.int64)
    for epoch in itertools.count():
        after = shown.until(epoch + 1)
        of_bucket = np.bincount(bucket, weights=after - before, minlength=len(sizes)).astype(np.int64)
        full, left = np.divmod(of_bucket, batch_size)
        yield EpochCount(int(full.sum()), int(np.count_nonzero(left)), before, after)
        before = after


def epoch_length(entries: Sequence[SampledImage], batch_size: int, seed: int, epoch: int) -> int:
    """How many batches an epoch has."""
    return next(itertools.islice(epoch_counts(entries, batch_size, seed), epoch, None)).batches
