"""The ladder of training sizes, and how a picture is brought onto it. Every size is (width, height) in pixels."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

Size = tuple[int, int]
Rule = Literal["nearest", "kohya"]


@dataclass(frozen=True, slots=True)
class Fit:
    """A picture on the ladder: reduced or enlarged to `scaled`, then cut to `crop` (left, top, right, bottom).

    The crop is as large as the bucket, `size`; `loss` is the part of the scaled picture that it cuts away, 0..1.
    """

    size: Size
    scaled: Size
    crop: tuple[int, int, int, int]
    loss: float


def ladder(area: int, step: int, min_side: int, max_side: int) -> tuple[Size, ...]:
    """Every bucket: for each width the greatest height within the area, and the same turned by 90°.

    Args:
        area: pixels that no bucket exceeds.
        step: sides are multiples of it; `min_side` and `max_side` are too.
    """
    square = math.isqrt(area) // step * step
    sizes = {(square, square)} if square >= step else set()
    for width in range(min_side, max_side + 1, step):
        height = min(max_side, area // width // step * step)
        if height >= min_side and height > 0:
            sizes |= {(width, height), (height, width)}
    return tuple(sorted(sizes))


def sides(resolution: int, step: int, min_side: int | None = None, max_side: int | None = None) -> Size:
    """(smallest, largest) side in multiples of the step; half and twice the resolution where none is given."""
    smallest = resolution / 2 if min_side is None else min_side
    largest = resolution * 2 if max_side is None else max_side
    return max(step, math.floor(smallest / step) * step), math.ceil(largest / step) * step


def choose(picture: Size, buckets: Sequence[Size], rule: Rule = "nearest") -> Size:
    """The bucket for a picture: the nearest aspect ratio, by its logarithm; kohya's rule takes the plain difference.

    Of equally near ones `nearest` takes the larger; kohya's the first of the sorted list. A picture that is exactly
    as large as a bucket gets it.
    """
    if picture in buckets:
        return picture
    aspect = picture[0] / picture[1]
    if rule == "kohya":
        return min(buckets, key=lambda size: abs(size[0] / size[1] - aspect))
    return min(buckets, key=lambda size: (round(abs(math.log(size[0] / size[1] / aspect)), 9), -size[0] * size[1]))


def fit(picture: Size, bucket: Size) -> Fit:
    """Scale a picture until it just covers the bucket, and cut what juts out, half on either side."""
    width, height = picture
    by_height = width / height > bucket[0] / bucket[1]
    scale = bucket[1] / height if by_height else bucket[0] / width
    scaled = max(bucket[0], math.floor(width * scale + 0.5)), max(bucket[1], math.floor(height * scale + 0.5))
    return _cut(scaled, bucket)


def fit_without_enlarging(picture: Size, area: int, step: int) -> Fit:
    """Reduce a picture to the area if it is larger, and cut its sides down to multiples of the step.

    A picture narrower than one step is the one kind that is enlarged, to a bucket one step wide.
    """
    width, height = picture
    scaled = _reduced(width / height, area, step) if width * height > area else picture
    bucket = max(step, scaled[0] // step * step), max(step, scaled[1] // step * step)
    if scaled[0] < step or scaled[1] < step:
        return fit(picture, bucket)
    return _cut(scaled, bucket)


def _reduced(aspect: float, area: int, step: int) -> Size:
    """The size of about this area and aspect with one side a multiple of the step: the side that bends aspect less."""
    width, height = math.sqrt(area * aspect), math.sqrt(area * aspect) / aspect
    by_width = int(width + 0.5) - int(width + 0.5) % step
    by_width_size = by_width, int(by_width / aspect + 0.5)
    by_height = int(height + 0.5) - int(height + 0.5) % step
    by_height_size = int(by_height * aspect + 0.5), by_height
    bends = [_bend(size, aspect, place, step) for place, size in enumerate((by_width_size, by_height_size))]
    return by_width_size if bends[0] < bends[1] else by_height_size


def _bend(size: Size, aspect: float, exact_side: int, step: int) -> float:
    other = size[1 - exact_side] // step * step
    rounded = (size[0], other) if exact_side == 0 else (other, size[1])
    return abs(rounded[0] / rounded[1] - aspect) if min(rounded) > 0 else math.inf


def _cut(scaled: Size, bucket: Size) -> Fit:
    left, top = (scaled[0] - bucket[0]) // 2, (scaled[1] - bucket[1]) // 2
    loss = 1 - bucket[0] * bucket[1] / (scaled[0] * scaled[1])
    return Fit(bucket, scaled, (left, top, left + bucket[0], top + bucket[1]), loss)
