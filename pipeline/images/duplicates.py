"""Which images are copies of which: equal files first, then images that look the same."""

from __future__ import annotations

import base64
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from pipeline.images.coding import PALETTE, quality_rank
from pipeline.store.records import Image, Measurement

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

LUMA, CHROMA = 28, 8
"""Sides of the squares that a fingerprint holds: brightness, and each of the two colour differences."""
FINGERPRINT_BYTES = LUMA * LUMA + 2 * CHROMA * CHROMA
MAX_ASPECT_DIFFERENCE = 1.05
"""Images whose aspect ratios differ by more than this are never near-duplicates: one is a crop of the other."""
MAX_BRIGHTNESS_DIFFERENCE = 32
"""Levels of 256 by which the means of near-duplicates differ at most: a scene by night is another image."""
MAX_COLOUR_DIFFERENCE = 24
"""Levels of 256 by which the colour of any place differs at most: a dress in red is not a dress in blue."""
PALETTE_FLOOR = 3.0
"""Levels of 256 by which the mean of a 28th of a side may miss where one of two images has only the colours of a palette."""
MIN_HASH_QUALITY = 50
"""PDQ's own figure, of 100, below which an image holds too little to be distinguished from others; its authors advise 50."""


@dataclass(frozen=True, slots=True)
class Duplicate:
    """An image that is dropped in favour of `keeper`, and how near the two are: None for equal files."""

    loser: Image
    keeper: Image
    nearness: Nearness | None = None

    @property
    def near(self) -> bool:
        return self.nearness is not None

    @property
    def data(self) -> dict[str, Any]:
        """What a decision has to say of it."""
        of = {"of": self.keeper.path}
        return of if self.nearness is None else {**of, "bits": self.nearness.bits, "size": self.nearness.size}


@dataclass(frozen=True, slots=True)
class Nearness:
    """How many bits two hashes differ in, and the (width, height) of the image that is kept."""

    bits: int
    size: tuple[int, int]


@dataclass(frozen=True, slots=True)
class Similarity:
    """What makes two images near-duplicates: at most `distance` bits between their hashes (-1: only equal files are
    copies), and no spot that stands out by more than `change` from their other differences. Beyond `enough` pixels the larger
    of two is no better by its size."""

    distance: int
    change: float
    enough: int = 512 * 512


def find_duplicates(
    images: Iterable[Image],
    measured: Mapping[str, Measurement],
    similarity: Similarity,
    preferred: Callable[[Image], bool],
    may_keep: Callable[[Image], bool] = lambda image: True,
) -> list[Duplicate]:
    """Every image that is a copy of a better one: preferred, then of better quality (`coding.quality_rank`), then first by
    path.

    Only images that `may_keep` are keepers; they go before the others.
    """

    def rank(image: Image) -> tuple[bool, bool, tuple[float, ...], str]:
        quality = quality_rank(measured[image.content], similarity.enough)
        return not may_keep(image), not preferred(image), quality, image.path

    ranked = sorted(images, key=rank)
    first: dict[str, Image] = {}
    found = []
    for image in ranked:
        keeper = first.setdefault(image.content, image)
        if keeper is not image and may_keep(keeper):
            found.append(Duplicate(image, keeper))
    if similarity.distance < 0:
        return found
    equal = {copy.loser.path for copy in found}
    return found + _near([image for image in ranked if image.path not in equal], measured, similarity, may_keep)


def _near(
    ranked: Sequence[Image],
    measured: Mapping[str, Measurement],
    similarity: Similarity,
    may_keep: Callable[[Image], bool],
) -> list[Duplicate]:
    import numpy as np

    from pipeline.images.band_index import BITS
    from pipeline.images.hash_index import keepers

    images = [image for image in ranked if measured[image.content].hash_quality >= MIN_HASH_QUALITY]
    if len(images) < 2:
        return []
    rows = [measured[image.content] for image in images]
    hashes = np.frombuffer(bytes.fromhex("".join(row.phash for row in rows)), np.uint8).reshape(len(rows), BITS // 8)
    alike = Alike(
        np.array([row.width / row.height for row in rows]),
        tuple(row.fingerprint for row in rows),
        np.array([row.coding == PALETTE for row in rows]),
        similarity.change,
    )
    keeper, between = keepers(hashes, similarity.distance, alike, np.array([may_keep(image) for image in images]))
    found = []
    for place in np.flatnonzero(keeper != np.arange(len(rows))):
        kept = rows[keeper[place]]
        nearness = Nearness(int(between[place]), (kept.width, kept.height))
        found.append(Duplicate(images[place], images[keeper[place]], nearness))
    return found


@dataclass(frozen=True, slots=True)
class Alike:
    """Whether two images of near hashes look the same, by their aspect ratios and fingerprints."""

    aspects: NDArray[np.float64]
    fingerprints: tuple[str, ...]
    palettes: NDArray[np.bool_]
    """(n,) which are coded in the colours of a palette."""
    change: float

    def __call__(self, row: int, others: NDArray[np.int64]) -> NDArray[np.bool_]:
        """(k,) which of the k others look like the one row."""
        import numpy as np

        stretch = self.aspects[others] / self.aspects[row]
        same: NDArray[np.bool_] = np.maximum(stretch, 1 / stretch) <= MAX_ASPECT_DIFFERENCE
        for start in range(0, len(others), 4096):  # a few at a time: fingerprints are a thousand times as large as rows
            part = slice(start, start + 4096)
            same[part] &= self._look_alike(row, others[part])
        return same

    def _look_alike(self, row: int, others: NDArray[np.int64]) -> NDArray[np.bool_]:
        import numpy as np

        luma, chroma = read_fingerprints([self.fingerprints[row]])
        lumas, chromas = read_fingerprints([self.fingerprints[other] for other in others])
        brighter = np.abs(lumas.mean(axis=1) - luma.mean())
        coloured = np.abs(chromas - chroma).max(axis=1)
        floors = np.where(self.palettes[others] != self.palettes[row], PALETTE_FLOOR, 1.0).astype(np.float32)
        standing_out = local_change(luma[0], lumas, floors)
        same: NDArray[np.bool_] = (
            (brighter <= MAX_BRIGHTNESS_DIFFERENCE)
            & (coloured <= MAX_COLOUR_DIFFERENCE)
            & (standing_out <= self.change)
        )
        return same


def fingerprint(grey: np.ndarray, colours: np.ndarray, size: tuple[int, int]) -> str:
    """Write down what tells a copy from an image that differs in one spot, which a hash of the whole does not.

    Args:
        grey: (h, w) uint8, the image halved some times; it may lack the odd last lines, so that
        size: (width, height) of the whole says how its pixels lie.
        colours: (h, w, 3) uint8, RGB; smaller still, for colours need no such care.
    Returns:
        28×28 levels of brightness, then 8×8 of each colour difference (Cr, Cb), as base64.
    """
    import cv2
    import numpy as np

    luma = np.rint(area_means(grey, size, LUMA)).astype(np.uint8)
    chroma = cv2.cvtColor(cv2.resize(colours, (CHROMA, CHROMA), interpolation=cv2.INTER_AREA), cv2.COLOR_RGB2YCrCb)
    return base64.b64encode(luma.tobytes() + chroma[:, :, 1:].tobytes()).decode("ascii")


def area_means(grey: np.ndarray, size: tuple[int, int], count: int) -> NDArray[np.float64]:
    """(count, count) means over equal parts of the whole image, of `size` pixels before it was halved to `grey`.

    Parts begin and end between pixels where they must, so an image and its copy of another size give equal means.
    """
    import cv2
    import numpy as np

    def edges(whole: int, length: int) -> NDArray[np.float64]:
        span = whole / 2 ** ((whole // length).bit_length() - 1)
        span = (
            span if span - length < span / count / 2 else length
        )  # lines were left out that hold a part by themselves
        return np.minimum(np.arange(count + 1) * (span / count), length)

    def between(sums: NDArray[np.float64], places: NDArray[np.float64]) -> NDArray[np.float64]:
        before = np.minimum(places.astype(int), len(sums) - 2)
        between: NDArray[np.float64] = sums[before] + (places - before)[:, None] * (sums[before + 1] - sums[before])
        return between

    down, across = edges(size[1], grey.shape[0]), edges(size[0], grey.shape[1])
    sums = between(between(cv2.integral(grey).astype(np.float64), down).T, across).T
    areas = np.outer(np.diff(down), np.diff(across))
    return np.asarray(np.diff(np.diff(sums, axis=0), axis=1) / areas)


def read_fingerprints(fingerprints: Sequence[str]) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """(n, 784) brightness and (n, 128) colour differences of n fingerprints."""
    import numpy as np

    values = np.frombuffer(base64.b64decode("".join(fingerprints)), np.uint8).reshape(
        len(fingerprints), FINGERPRINT_BYTES
    )
    return values[:, : LUMA * LUMA].astype(np.float32), values[:, LUMA * LUMA :].astype(np.float32)


def local_change(
    luma: NDArray[np.float32], others: NDArray[np.float32], floors: NDArray[np.float32] | None = None
) -> NDArray[np.float32]:
    """How far the largest difference stands out from all of them, once brightness and contrast are evened out.

    With d the residual of the straight line that takes `luma` to another: max |d| / (floor + root mean square of d). Saving
    an image again or moving it by a pixel changes it all over; another expression changes one spot.

    Args:
        luma: (m,) brightness of one image.
        others: (k, m) of others.
        floors: (k,) levels by which a copy may differ anywhere; 1, what rounding does, if not given.
    Returns:
        (k,) 0 for equal images.
    """
    import numpy as np

    centred = luma - luma.mean()
    apart = others - others.mean(axis=1, keepdims=True)
    gain = apart @ centred / max(float(centred @ centred), 1.0)
    rest = np.abs(apart - gain[:, None] * centred)
    return np.asarray(
        rest.max(axis=1) / ((1 if floors is None else floors) + np.sqrt(np.mean(rest**2, axis=1))), dtype=np.float32
    )
