"""The training sizes: how many images each has, what is enlarged, what is cut away, and which fill no batch."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean

from pipeline.core.humanize import counted, grouped, percent
from pipeline.report.html.markup import Html, element, join, meter, row, table
from pipeline.store.records import Decision, Image, Measurement

SHAPE_SIDE = 36
NUMBERS = (3, 4, 5, 6, 7, 8)


@dataclass(frozen=True, slots=True)
class Bucket:
    """A training size (width, height), its images, how many of them are enlarged, and what the crop cuts away.

    `loss` and `worst` are parts of an image, the mean and the largest; `exposures` images of it in an epoch.
    """

    size: tuple[int, int]
    images: int
    enlarged: int
    loss: float
    worst: float
    exposures: float

    def left_over(self, batch: int) -> int:
        """Images in the last batch of an epoch, 0 when all are full."""
        return round(self.exposures) % batch


@dataclass(frozen=True, slots=True)
class Sizes:
    """The training sizes from tall to wide; `worst` names the image that most is cut of, with the part of it."""

    buckets: tuple[Bucket, ...]
    loss: float
    worst: tuple[str, float]
    batch: int


def sizes_of(
    kept: Sequence[Image],
    buckets: Mapping[str, Decision],
    repeats: Mapping[str, Decision],
    measured: Mapping[str, Measurement],
    batch: int,
) -> Sizes | None:
    """The sizes that were decided, None where there are none; an image without repeats is shown once an epoch."""
    found: dict[tuple[int, int], list[tuple[float, bool, float, str]]] = defaultdict(list)
    for image in kept:
        if decided := buckets.get(image.path):
            bucket = decided.value
            known = measured.get(image.content)
            enlarged = known is not None and 0 < known.width < bucket.scaled[0]
            exposures = repeats[image.path].value.exact if image.path in repeats else 1.0
            found[bucket.size].append((bucket.loss, enlarged, exposures, image.path))
    if not found:
        return None
    sized = []
    for size, rows in sorted(found.items(), key=lambda item: (item[0][0] / item[0][1], item[0])):
        losses, enlargements, exposures_of, _ = zip(*rows, strict=True)
        sized.append(Bucket(size, len(rows), sum(enlargements), fmean(losses), max(losses), math.fsum(exposures_of)))
    every = [entry for rows in found.values() for entry in rows]
    loss, _, _, path = max(every, key=lambda entry: (entry[0], entry[3]))
    return Sizes(tuple(sized), fmean(entry[0] for entry in every), (Path(path).name, loss), batch)


def sizes(facts: Sizes) -> Html:
    """Training sizes from tall to wide."""
    most = max(bucket.images for bucket in facts.buckets)
    tallest = max(max(bucket.size) for bucket in facts.buckets)
    rows = [_bucket(bucket, most, tallest, facts.batch) for bucket in facts.buckets]
    name, worst = facts.worst
    enlarged = sum(bucket.enlarged for bucket in facts.buckets)
    words = (
        f"{counted(len(rows), 'size')}, every one near the same area, so that nothing is squeezed and little is cut "
        f"away: {percent(facts.loss)} of an image on average, {percent(worst)} of {name}, the worst. "
        f"{_enlarged(enlarged)} than what they are trained at."
    )
    heads = ("", "size", "images", "", "ratio", "enlarged", "cut away", "at worst", "last batch")
    return join(element("p", words, class_="lead"), _runts(facts), table(heads, rows, NUMBERS, "sizes"))


def _enlarged(number: int) -> str:
    return "No image is smaller" if not number else f"{counted(number, 'image is', 'images are')} smaller"


def _runts(facts: Sizes) -> Html | str:
    """Sizes whose last batch of an epoch is not full."""
    short = [bucket for bucket in facts.buckets if bucket.left_over(facts.batch)]
    if not short:
        return ""
    words = (
        f"In batches of {facts.batch}, the last batch of {counted(len(short), 'size')} is not full. This trainer trains "
        "on short batches as they are, and weighs every image alike."
    )
    return element("p", words, class_="lead")


def _bucket(bucket: Bucket, most: int, tallest: int, batch: int) -> Html:
    width, height = bucket.size
    scale = SHAPE_SIDE / tallest
    shape = element("span", class_="shape", style=f"width:{width * scale:.1f}px;height:{height * scale:.1f}px")
    left = bucket.left_over(batch)
    return row(
        shape,
        f"{width} × {height}",
        meter(bucket.images / most, "after"),
        grouped(bucket.images),
        f"{width / height:.2f}",
        grouped(bucket.enlarged) if bucket.enlarged else "",
        percent(bucket.loss),
        percent(bucket.worst),
        f"{left} of {batch}" if left else "full",
        numbers=NUMBERS,
    )
