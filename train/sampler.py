"""Which pictures make up each batch of each epoch: a pure function of the set, the batch size, the seed, the epoch.

- A picture with multiplier m is shown ⌊Km⌋ or ⌈Km⌉ times over any first K epochs, whole and fractional alike.
- No picture is left out because its bucket is short: a short batch stays short, and the loop weighs pictures, not batches.
- No picture is twice in a batch while another of its bucket is waiting.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from math import floor

from numpy.random import Generator

from train.draws import rng


@dataclass(frozen=True, slots=True)
class Entry:
    """A picture as the sampler sees it: its key, the (width, height) of its bucket, and its multiplier."""

    key: str
    bucket: tuple[int, int]
    multiplier: float


def showings(multiplier: float, offset: float, epoch: int) -> int:
    """How often a picture appears in one epoch (counted from 0): ⌊(e+1)m + u⌋ - ⌊em + u⌋ with offset u in [0, 1).

    Summed over the first K epochs that is ⌊Km + u⌋, so ⌊Km⌋ or ⌈Km⌉. Exact: the sums are made of fractions.
    """
    exact, start = Fraction(multiplier).limit_denominator(10**6), Fraction(offset).limit_denominator(10**6)
    return floor(exact * (epoch + 1) + start) - floor(exact * epoch + start)


def offsets(entries: Sequence[Entry], seed: int) -> dict[str, float]:
    """Spread the pictures' offsets evenly over [0, 1), so that every epoch is about equally long."""
    order = rng("offsets", seed).permutation(len(entries))
    return {entries[index].key: place / len(entries) for place, index in enumerate(order)}


def epoch_batches(entries: Sequence[Entry], batch_size: int, seed: int, epoch: int) -> tuple[tuple[str, ...], ...]:
    """The batches of one epoch, each of pictures of one bucket, in the order they are trained on."""
    start = offsets(entries, seed)
    waiting: dict[tuple[int, int], dict[str, int]] = defaultdict(dict)
    for entry in sorted(entries, key=lambda entry: entry.key):
        count = showings(entry.multiplier, start[entry.key], epoch)
        if count:
            waiting[entry.bucket][entry.key] = count
    draw = rng("order", seed, epoch)
    batches = [batch for bucket in sorted(waiting) for batch in bucket_batches(waiting[bucket], batch_size, draw)]
    return tuple(batches[index] for index in draw.permutation(len(batches)))


def bucket_batches(waiting: Mapping[str, int], batch_size: int, draw: Generator) -> list[tuple[str, ...]]:
    """Cut one bucket's showings into batches in the order they are filled.

    A batch takes each waiting picture once, those with most showings left first (chance breaks ties), and only when
    none is left to take, the ones with most showings left again.
    """
    left, batches = dict(waiting), []
    while left:
        batch: list[str] = []
        names = sorted(left)
        chance = dict(zip(names, draw.random(len(names)), strict=True))
        while left and len(batch) < batch_size:
            new = [name for name in left if name not in batch] or list(left)
            name = max(new, key=lambda name: (left[name], chance[name]))
            batch.append(name)
            left[name] -= 1
            if not left[name]:
                del left[name]
        batches.append(tuple(batch))
    return batches


def epoch_length(entries: Sequence[Entry], batch_size: int, seed: int, epoch: int) -> int:
    """How many batches an epoch has, without making them."""
    start = offsets(entries, seed)
    totals: dict[tuple[int, int], int] = defaultdict(int)
    for entry in entries:
        totals[entry.bucket] += showings(entry.multiplier, start[entry.key], epoch)
    return sum(-(-total // batch_size) for total in totals.values())
