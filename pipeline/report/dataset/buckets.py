"""The bucket resolutions: how many images each has, what is upscaled, what is cropped, and which fill no batch."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean

from pipeline.store.records import Decision, Image, Measurement

SHAPE_SIDE = 36


@dataclass(frozen=True, slots=True)
class BucketFigures:
    """A bucket resolution (width, height), its images, how many of them are upscaled, and how much is cropped.

    `cropped` and `worst` are parts of an image, the mean and the largest; `exposures` are those of an epoch.
    """

    size: tuple[int, int]
    images: int
    upscaled: int
    cropped: float
    worst: float
    exposures: float

    def left_over(self, batch: int) -> int:
        """Images in the last batch of an epoch, 0 when all are full."""
        return round(self.exposures) % batch


@dataclass(frozen=True, slots=True)
class Buckets:
    """The buckets from tall to wide; `cropped` is the mean part of an image, `worst` the most cropped image and its part."""

    buckets: tuple[BucketFigures, ...]
    cropped: float
    worst: tuple[str, float]
    batch: int


def buckets_of(
    kept: Sequence[Image],
    buckets: Mapping[str, Decision],
    repeats: Mapping[str, Decision],
    measured: Mapping[str, Measurement],
    batch: int,
) -> Buckets | None:
    """The buckets that were decided, None where there are none; an image without repeats counts once an epoch."""
    found: dict[tuple[int, int], list[tuple[float, bool, float, str]]] = defaultdict(list)
    for image in kept:
        if decided := buckets.get(image.path):
            bucket = decided.value
            known = measured.get(image.content)
            upscaled = known is not None and 0 < known.width < bucket.scaled[0]
            exposures = repeats[image.path].value.exact if image.path in repeats else 1.0
            found[bucket.size].append((bucket.loss, upscaled, exposures, image.path))
    if not found:
        return None
    sized: list[BucketFigures] = []
    for size, rows in sorted(found.items(), key=lambda item: (item[0][0] / item[0][1], item[0])):
        crops, upscales, exposures_of, _ = zip(*rows, strict=True)
        sized.append(BucketFigures(size, len(rows), sum(upscales), fmean(crops), max(crops), math.fsum(exposures_of)))
    every = [entry for rows in found.values() for entry in rows]
    most, _, _, path = max(every, key=lambda entry: (entry[0], entry[3]))
    return Buckets(tuple(sized), fmean(entry[0] for entry in every), (Path(path).name, most), batch)


@dataclass(frozen=True, slots=True)
class BucketRow:
    """A row of the table: `shape` is (width, height) in pixels of its outline, `share` compares its images with those
    of the fullest bucket, `left_over` are the images in its last batch of an epoch, 0 when that is full."""

    bucket: BucketFigures
    shape: tuple[float, float]
    share: float
    left_over: int


@dataclass(frozen=True, slots=True, kw_only=True)
class BucketsView:
    """`cropped` and `worst` are parts of an image; `partial` counts buckets whose last batch is not full."""

    rows: tuple[BucketRow, ...]
    cropped: float
    worst: float
    worst_name: str
    upscaled: int
    partial: int
    batch: int


def buckets_view(facts: Buckets | None) -> BucketsView | None:
    """Bucket resolutions from tall to wide, None before they are decided."""
    if facts is None:
        return None
    most = max(bucket.images for bucket in facts.buckets)
    scale = SHAPE_SIDE / max(max(bucket.size) for bucket in facts.buckets)
    rows = tuple(
        BucketRow(
            bucket,
            (bucket.size[0] * scale, bucket.size[1] * scale),
            bucket.images / most,
            bucket.left_over(facts.batch),
        )
        for bucket in facts.buckets
    )
    return BucketsView(
        rows=rows,
        cropped=facts.cropped,
        worst=facts.worst[1],
        worst_name=facts.worst[0],
        upscaled=sum(bucket.upscaled for bucket in facts.buckets),
        partial=sum(row.left_over > 0 for row in rows),
        batch=facts.batch,
    )
