"""The bucket list of training sizes, and how images are brought onto it. Every size is (width, height) in pixels.

The rule stands twice: for one image, to be read, and for a whole set in arrays, `…_all`, to be quick. Both give the
same to the last pixel.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

Size = tuple[int, int]
Sizes = NDArray[np.int64]
"""(N, 2): one width and height per image."""
Rule = Literal["nearest", "kohya"]
AT_ONCE = 1 << 21
"""How many pairs of image and bucket are compared at once, so that memory stays small."""


@dataclass(frozen=True, slots=True)
class Fit:
    """An image on the bucket list: downscaled or upscaled to `scaled`, then cut to `crop` (left, top, right, bottom).

    The crop is as large as the bucket, `size`; `loss` is the part of the scaled image that it cuts away, 0..1.
    """

    size: Size
    scaled: Size
    crop: tuple[int, int, int, int]
    loss: float


def bucket_list(area: int, step: int, min_side: int, max_side: int) -> tuple[Size, ...]:
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


def choose(image: Size, buckets: Sequence[Size], rule: Rule = "nearest") -> Size:
    """The bucket for an image: the one whose aspect ratio is the fewest times wider or narrower than the image's.

    kohya's rule takes the plain difference of width / height instead. Of equally near ones `nearest` takes the larger,
    kohya's the first of the sorted list. An image that is exactly as large as a bucket gets it.
    """
    if image in buckets:
        return image
    if rule == "kohya":
        aspect = image[0] / image[1]
        return min(buckets, key=lambda size: abs(size[0] / size[1] - aspect))
    return min(buckets, key=lambda size: (_bend_to(image, size), -size[0] * size[1]))


def _bend_to(image: Size, bucket: Size) -> float:
    """How many times wider or narrower the bucket is than the image, 1 or more; of whole numbers, so that equals tie."""
    wide, high = bucket[0] * image[1], bucket[1] * image[0]
    return max(wide, high) / min(wide, high)


def fit(image: Size, bucket: Size) -> Fit:
    """Scale an image until it just covers the bucket, and cut what juts out, half on either side."""
    width, height = image
    by_height = width / height > bucket[0] / bucket[1]
    scale = bucket[1] / height if by_height else bucket[0] / width
    scaled = max(bucket[0], math.floor(width * scale + 0.5)), max(bucket[1], math.floor(height * scale + 0.5))
    return _cut(scaled, bucket)


def fit_without_enlarging(image: Size, area: int, step: int) -> Fit:
    """Reduce an image to the area if it is larger, and cut its sides down to multiples of the step.

    An image narrower than one step is the one kind that is upscaled, to a bucket one step wide and within the area.
    """
    width, height = image
    scaled = _reduced(width / height, area, step) if width * height > area else image
    if min(scaled) >= step:
        return _cut(scaled, (scaled[0] // step * step, scaled[1] // step * step))
    longest = min(area // step, max(image) // min(image) * step) // step * step
    return fit(image, (step, longest) if width < height else (longest, step))


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


# --- the same for all images of a set


def choose_all(images: Sizes, buckets: Sequence[Size], rule: Rule = "nearest") -> Sizes:
    """What `choose` gives for each of the images: (N, 2) of (N, 2)."""
    bucket_list = np.array(buckets, np.int64)
    order = (
        np.lexsort((np.arange(len(bucket_list)), -bucket_list.prod(1)))
        if rule == "nearest"
        else np.arange(len(bucket_list))
    )
    bucket_list = bucket_list[order]
    chosen = np.empty_like(images)
    block = max(1, AT_ONCE // len(bucket_list))
    for start in range(0, len(images), block):
        some = images[start : start + block]
        chosen[start : start + block] = bucket_list[_distances(some, bucket_list, rule).argmin(1)]
    exact = np.isin(codes(images), codes(bucket_list))
    chosen[exact] = images[exact]
    return chosen


def _distances(images: Sizes, bucket_list: Sizes, rule: Rule) -> NDArray[np.float64]:
    """(N, B): how far each bucket's aspect ratio is from each image's."""
    if rule == "kohya":
        return np.abs(bucket_list[:, 0] / bucket_list[:, 1] - (images[:, 0] / images[:, 1])[:, None])
    wide, high = np.outer(images[:, 1], bucket_list[:, 0]), np.outer(images[:, 0], bucket_list[:, 1])
    return np.maximum(wide, high) / np.minimum(wide, high)


def codes(sizes: Sizes) -> NDArray[np.int64]:
    """(N,): one number per size, in the order of sizes."""
    return (sizes[:, 0] << 32) | sizes[:, 1]


def fit_all(images: Sizes, buckets: Sizes) -> Sizes:
    """The `scaled` of `fit` for each image and its bucket: (N, 2) of (N, 2) and (N, 2)."""
    width, height = images.T
    by_height = width / height > buckets[:, 0] / buckets[:, 1]
    scale = np.where(by_height, buckets[:, 1] / height, buckets[:, 0] / width)
    scaled: NDArray[np.int64] = np.maximum(buckets, np.floor(images * scale[:, None] + 0.5).astype(np.int64))
    return scaled


def fit_all_without_enlarging(images: Sizes, area: int, step: int) -> tuple[Sizes, Sizes]:
    """(buckets, scaled) of `fit_without_enlarging` for each of the images, each (N, 2)."""
    large = images.prod(1) > area
    scaled = np.where(large[:, None], _reduced_all(images[:, 0] / images[:, 1], area, step), images)
    buckets = scaled // step * step
    narrow = scaled.min(1) < step
    longest = np.minimum(area // step, images.max(1) // images.min(1) * step) // step * step
    upright = images[:, 0] < images[:, 1]
    forced = np.stack([np.where(upright, step, longest), np.where(upright, longest, step)], 1)
    buckets[narrow] = forced[narrow]
    scaled[narrow] = fit_all(images[narrow], buckets[narrow])
    return buckets, scaled


def _reduced_all(aspect: NDArray[np.float64], area: int, step: int) -> Sizes:
    width, height = np.sqrt(area * aspect), np.sqrt(area * aspect) / aspect
    by_width = _whole(width + 0.5) // step * step
    by_width_size = np.stack([by_width, _whole(by_width / aspect + 0.5)], 1)
    by_height = _whole(height + 0.5) // step * step
    by_height_size = np.stack([_whole(by_height * aspect + 0.5), by_height], 1)
    first = _bends(by_width_size, aspect, 0, step) < _bends(by_height_size, aspect, 1, step)
    return np.where(first[:, None], by_width_size, by_height_size)


def _whole(values: NDArray[np.float64]) -> NDArray[np.int64]:
    return values.astype(np.int64)


def _bends(sizes: Sizes, aspect: NDArray[np.float64], exact_side: int, step: int) -> NDArray[np.float64]:
    rounded = sizes.copy()
    rounded[:, 1 - exact_side] = sizes[:, 1 - exact_side] // step * step
    possible = rounded.min(1) > 0
    ratio = np.divide(rounded[:, 0], rounded[:, 1], out=np.full(len(sizes), np.inf), where=possible)
    difference: NDArray[np.float64] = np.abs(ratio - aspect)
    return difference


def different(images: Sizes) -> tuple[Sizes, NDArray[np.int64]]:
    """(the sizes that there are, each once; (N,) which of them each image has), so that equal images are fitted once."""
    _, first, inverse = np.unique(codes(images), return_index=True, return_inverse=True)
    return images[first], inverse
