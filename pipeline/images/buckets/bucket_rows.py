"""The bucket and crop of every image as decisions."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from pipeline.images.buckets import crop_anchors as holding
from pipeline.images.buckets.crop_summary import Fits
from pipeline.store.reasons.bucket import CROPPED, BucketReason
from pipeline.store.records import Decision
from pipeline.store.values.bucket import CENTRE, Bucket


def bucket_rows(fits: Fits, names: Sequence[str], transparent: Sequence[bool], below: str) -> Iterator[Decision]:
    """One row per image.

    Args:
        names: what each crop holds on to, as anchors are written.
        transparent: which images let the background through.
        below: its colour, #rrggbb.
    """
    held = {name: name if name == holding.FACE else holding.parse(name).name for name in set(names)}
    columns = (
        each[:, side].tolist() for each in (fits.images, fits.scaled, fits.sizes, fits.corners) for side in (0, 1)
    )
    losses, scales = fits.losses.tolist(), fits.scales.tolist()
    for path, name, is_clear, loss, scale, width, height, *rest in zip(
        fits.paths, names, transparent, losses, scales, *columns, strict=True
    ):
        across, down, wide, high, left, top = rest
        anchor = held[name]
        crop = left, top, left + wide, top + high
        value = Bucket((wide, high), (across, down), crop, round(loss, 6), anchor, below if is_clear else "")
        same = (across, down) == (width, height)
        reason = BucketReason.UNSCALED if same else BucketReason.DOWNSCALED if scale <= 1 else BucketReason.UPSCALED
        figures = {"image": (width, height), "scale": float(f"{scale:.3g}"), "size": value.size, "loss": value.loss}
        if loss > 0:
            reason = CROPPED[reason]
            moved = left - (across - wide) // 2, top - (down - high) // 2
            figures |= {"anchor": anchor} if anchor != CENTRE else {}
            figures |= {"moved": moved} if any(moved) else {}
        yield Decision(path, "bucket", value, reason, figures)
