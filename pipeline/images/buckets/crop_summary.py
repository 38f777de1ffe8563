"""The images of a set on the bucket list, in arrays, and what there is to say about them per size and in all."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pipeline.images.buckets.buckets import Size, Sizes, codes

LARGE_LOSS = 0.2
LARGE_SCALE = 2.0


@dataclass(frozen=True, slots=True)
class Fits:
    """N images: sizes before and after scaling, of the crop (their bucket), and its left and upper edge, each (N, 2).

    `shown` is how often an epoch of `prep train` shows each (N,), `repeats` the whole number that exports write.
    """

    paths: Sequence[str]
    images: Sizes
    scaled: Sizes
    sizes: Sizes
    corners: Sizes
    shown: NDArray[np.float64]
    repeats: NDArray[np.int64]

    @property
    def losses(self) -> NDArray[np.float64]:
        """(N,) the part of the scaled image that is cropped."""
        losses: NDArray[np.float64] = 1 - self.sizes.prod(1) / self.scaled.prod(1)
        return losses

    @property
    def scales(self) -> NDArray[np.float64]:
        """(N,) how many times larger the scaled image is."""
        scales: NDArray[np.float64] = (self.scaled / self.images).max(1)
        return scales


def table(fits: Fits, batch_size: int) -> list[dict[str, Any]]:
    """One row per size and one for all: how many images, how often shown, upscaled, and what is cropped."""
    losses, scales = fits.losses, fits.scales
    rows = [
        {"bucket": list(size)} | _row(fits, losses, scales, members, batch_size)
        for size, members in by_size(fits.sizes).items()
    ]
    if len(rows) > 1:
        short = sum(row["last batch"] != "full" for row in rows) if batch_size > 1 else 0
        everything = {"bucket": "all"} | _row(fits, losses, scales, np.arange(len(losses)), batch_size)
        rows.append(everything | ({"last batch": f"{short} short"} if batch_size > 1 else {}))
    return rows


def by_size(sizes: Sizes) -> dict[Size, NDArray[np.int64]]:
    """Size → the places of the images that have it, sizes in order."""
    numbers = codes(sizes)
    order = np.argsort(numbers, kind="stable")
    found, first = np.unique(numbers[order], return_index=True)
    members = np.split(order, first[1:])
    return {(code >> 32, code & 0xFFFFFFFF): each for code, each in zip(found.tolist(), members, strict=True)}


def _row(
    fits: Fits,
    losses: NDArray[np.float64],
    scales: NDArray[np.float64],
    members: NDArray[np.int64],
    batch_size: int,
) -> dict[str, Any]:
    larger = scales[members][scales[members] > 1]
    row: dict[str, Any] = {"images": len(members), "shown": round(float(fits.shown[members].sum()), 2)}
    if batch_size > 1:
        left = int(fits.repeats[members].sum()) % batch_size
        row["last batch"] = f"{left} of {batch_size}" if left else "full"
    return row | {
        "upscaled": len(larger),
        "at most": f"{larger.max():.2f} times" if len(larger) else "",
        "cropped": f"{losses[members].mean():.1%}",
        "worst": f"{losses[members].max():.1%}",
    }


def warnings(fits: Fits, batch_size: int) -> Iterator[str]:
    """Warnings about sizes that fill no batch, large cuts and strong enlargement."""
    if batch_size > 1:
        yield from _batch_notes(fits, batch_size)
    total = len(fits.paths)
    losses, scales = fits.losses, fits.scales
    cut = int((losses > LARGE_LOSS).sum())
    if cut:
        worst = int(losses.argmax())
        yield (
            f"{cut} of {total} images lose more than {LARGE_LOSS:.0%} to the crop, most of all "
            f"{fits.paths[worst]} ({losses[worst]:.0%})"
        )
    large = int((scales > LARGE_SCALE).sum())
    if large:
        most = int(scales.argmax())
        yield (
            f"{large} of {total} images are upscaled more than {LARGE_SCALE:g} times, most of all "
            f"{fits.paths[most]} ({scales[most]:.1f} times)"
        )


def _batch_notes(fits: Fits, batch_size: int) -> Iterator[str]:
    groups = by_size(fits.sizes)
    whole = {size: int(fits.repeats[members].sum()) for size, members in groups.items()}
    poor = {size: count for size, count in whole.items() if count < batch_size}
    if poor:
        size = min(poor, key=lambda each: (poor[each], each))
        yield (
            f"{len(poor)} of {len(whole)} sizes cannot fill one batch of {batch_size} in an epoch, such as "
            f"{size[0]}×{size[1]} with {poor[size]}: {fits.paths[groups[size][0]]}"
        )
    left = {size: count % batch_size for size, count in whole.items() if count % batch_size}
    if left:
        runts, total = sum(left.values()), sum(whole.values())
        yield (
            f"{len(left)} of {len(whole)} sizes end an epoch with a batch that is not full, {runts} of {total} exposures "
            f"({runts / total:.1%}); prep train weighs each like any other, kohya's sd-scripts weigh them more, "
            "EveryDream fills up with doubles, OneTrainer leaves them out"
        )
