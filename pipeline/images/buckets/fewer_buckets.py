"""Shorter bucket lists: whether fewer training sizes would cut as little off the images of a set."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pipeline.images.buckets.buckets import Rule, Size, Sizes, bucket_list, sides

MEAN_RISE = 0.001
"""How much more of an image may be cropped on average, for a shorter bucket list to lose next to nothing: 0.1 %."""
WORST_RISE = 0.01
"""How much more the image that is cut most may lose: 1 %."""
AREA_FALL = 0.01
"""How much of the images' area in training a shorter bucket list may give up."""
ROOM = 2.0
"""A shorter bucket list keeps room for images added later: its longest size is at least this many times as long as wide."""
TRIES = 12
"""Sides tried per end of the bucket list."""
FEW = 20
"""With fewer images a shorter bucket list is not proposed: one more image would change the answer."""
CLIPPED = 0.9
"""Sizes with less than this part of the area that an unlimited longest side gives are warned of."""


@dataclass(frozen=True, slots=True)
class BucketBounds:
    """A bucket list as a setting: step, shortest and longest side in pixels."""

    step: int
    min_side: int
    max_side: int


@dataclass(frozen=True, slots=True)
class BucketTrial:
    """What a bucket list does to the images.

    `sizes` is how many it has, `used` how many of them get images, `widest` the largest width / height; `mean` and
    `worst` cut are parts of an image, `area` the mean of the sizes' pixels, in parts of the resolution squared.
    """

    bounds: BucketBounds
    sizes: int
    used: int
    widest: float
    mean: float
    worst: float
    area: float


class Crowd:
    """The aspect ratios of a set, sorted and summed up once, so that one bucket list more costs next to nothing."""

    def __init__(self, images: Sizes) -> None:
        self.aspects = np.sort(images[:, 0] / images[:, 1])
        self.sums = np.concatenate([[0.0], np.cumsum(self.aspects)])
        self.inverse_sums = np.concatenate([[0.0], np.cumsum(1 / self.aspects)])

    def attempt(self, bounds: BucketBounds, resolution: int, rule: Rule) -> BucketTrial:
        """How a bucket list would do; sizes are chosen by aspect ratio, and cuts are not rounded to whole pixels.

        Between two neighbouring sizes the images part at their geometric mean (kohya: at the arithmetic one). A
        image of aspect a in a size of aspect b keeps min(a/b, b/a) of itself.
        """
        sizes = bucket_list(resolution**2, bounds.step, bounds.min_side, bounds.max_side)
        shapes = _largest_per_aspect(sizes)
        wide = shapes[:, 0] / shapes[:, 1]
        parts = np.sqrt(wide[1:] * wide[:-1]) if rule == "nearest" else (wide[1:] + wide[:-1]) / 2
        count = len(self.aspects)
        ends = np.concatenate([[0], np.searchsorted(self.aspects, parts), [count]])
        first, last = ends[:-1], ends[1:]
        middle = np.clip(np.searchsorted(self.aspects, wide), first, last)
        kept = (self.sums[middle] - self.sums[first]) / wide
        kept += (self.inverse_sums[last] - self.inverse_sums[middle]) * wide
        return BucketTrial(
            bounds,
            len(sizes),
            int((last > first).sum()),
            float(wide[-1]),
            max(0.0, 1 - float(kept.sum()) / count),
            self._worst(wide, first, last),
            float(((last - first) * shapes.prod(1)).sum()) / count / resolution**2,
        )

    def _worst(self, wide: NDArray[np.float64], first: NDArray[np.int64], last: NDArray[np.int64]) -> float:
        """The largest cut: that of the narrowest or of the widest image of some size."""
        used = last > first
        edges = np.concatenate([self.aspects[first[used]], self.aspects[last[used] - 1]]) / np.tile(wide[used], 2)
        return float((1 - np.minimum(edges, 1 / edges)).max())


def _largest_per_aspect(sizes: Sequence[Size]) -> Sizes:
    """(B, 2): the sizes in order of aspect ratio; of several equal ones the one that is chosen."""
    shapes = {width / height: (width, height) for width, height in sorted(sizes, key=lambda size: size[0])}
    return np.array([shapes[aspect] for aspect in sorted(shapes)], np.int64)


def shorter(crowd: Crowd, now: BucketBounds, resolution: int, rule: Rule) -> tuple[BucketTrial, BucketTrial] | None:
    """(the bucket list as it is, the shortest one that loses next to nothing), or None where none is shorter."""
    held = crowd.attempt(now, resolution, rule)
    trials = [crowd.attempt(bounds, resolution, rule) for bounds in _candidates(now, resolution)]
    good = [trial for trial in trials if _as_good(trial, held)]
    best = min(good, key=lambda trial: (trial.sizes, trial.mean, trial.worst), default=None)
    return (held, best) if best else None


def _candidates(now: BucketBounds, resolution: int) -> Iterator[BucketBounds]:
    """Ladders within the one that is, with the same step or twice it."""
    for step in (now.step, 2 * now.step):
        square = resolution // step * step
        low = _spread(-(-now.min_side // step) * step, square, step)
        high = _spread(-(-resolution // step) * step, now.max_side // step * step, step)
        for shortest, longest in itertools.product(low, high):
            yield BucketBounds(step, shortest, longest)


def _spread(first: int, last: int, step: int) -> list[int]:
    """First to last in multiples of the step, no more than about a dozen of them."""
    every = max(1, -(-((last - first) // step + 1) // TRIES))
    return list(range(first, last + 1, every * step))


def _as_good(trial: BucketTrial, now: BucketTrial) -> bool:
    """Whether a bucket list is shorter and as good; a larger step must leave fewer sizes in use, or it gains nothing."""
    return (
        trial.sizes < now.sizes
        and trial.used <= now.used - (trial.bounds.step > now.bounds.step)
        and trial.widest >= ROOM
        and trial.mean <= now.mean + MEAN_RISE
        and trial.worst <= now.worst + WORST_RISE
        and trial.area >= now.area - AREA_FALL
    )


def bucket_list_notes(images: Sizes, bounds: BucketBounds, resolution: int, rule: Rule) -> tuple[list[str], list[str]]:
    """(warnings, info) on the bucket list as a whole: cut short, or longer than the images need."""
    crowd = Crowd(images)
    now = crowd.attempt(bounds, resolution, rule)
    free = BucketBounds(bounds.step, *sides(resolution, bounds.step))
    whole = crowd.attempt(free, resolution, rule).area
    if now.area < CLIPPED * whole:
        clipped = (
            f"sizes have {now.area:.0%} of the area of {resolution}² on average, {whole:.0%} without min_bucket_reso = "
            f"{bounds.min_side}, max_bucket_reso = {bounds.max_side}; leave both out, or set max_bucket_reso = {free.max_side}"
        )
        return [clipped], []
    found = shorter(crowd, bounds, resolution, rule) if len(images) >= FEW else None
    return [], [_proposal(*found)] if found else []


def _proposal(now: BucketTrial, best: BucketTrial) -> str:
    same = f"{best.mean:.2%}" == f"{now.mean:.2%}" or best.mean < now.mean
    mean = (
        f"{best.mean:.2%} as now" if f"{best.mean:.2%}" == f"{now.mean:.2%}" else f"{best.mean:.2%}, now {now.mean:.2%}"
    )
    step = f"bucket_reso_steps = {best.bounds.step}, " if best.bounds.step != now.bounds.step else ""
    return (
        f"{best.sizes} sizes instead of {now.sizes} lose {'nothing' if same else 'next to nothing'}: mean cut {mean}, "
        f"worst {best.worst:.1%}, now {now.worst:.1%}; set {step}min_bucket_reso = {best.bounds.min_side}, "
        f"max_bucket_reso = {best.bounds.max_side}"
    )
