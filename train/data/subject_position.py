"""Where an image's subject is, as far as the record tells: a face in its name, a person's anchor, or its detail."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from pipeline.images.buckets.crop_anchors import FACE, box_in_name, face_in
from pipeline.images.buckets.detail_profile import LENGTH, STRIPS, profile
from pipeline.store.values.bucket import Bucket
from train.data.augmentation import Subject


def subject_of(source: str, bucket: Bucket, width: int, height: int, focus: str) -> Subject | None:
    """The middle of the subject, in this order: the face that the original's name ends in, if the bucket's crop was asked
    to keep it; the point that the crop was asked to hold on to; the middle of the image's detail. None where nothing of
    it is known.

    Args:
        width: of the image in pixels, as measured.
        height: the same.
        focus: detail per strip, as measured; "" where it was not.
    """
    if not (width and height):
        return None
    anchor = bucket.anchor
    box = box_in_name(source) if anchor == FACE else None
    face = face_in(box, (width, height)) if box else None
    if face is not None:
        left, top, right, bottom = face
        return Subject(((left + right) / 2 / width, (top + bottom) / 2 / height), (width, height))
    if "," in anchor:
        across, down = (float(part) for part in anchor.split(","))
        return Subject((across, down), (width, height))
    if len(focus) != LENGTH:
        return None
    columns, rows = profile(focus)
    return Subject((_middle(columns), _middle(rows)), (width, height)) if columns.any() and rows.any() else None


def _middle(strips: NDArray[np.float64]) -> float:
    """Where half of the detail is on either side, 0..1."""
    running = np.concatenate([[0.0], np.cumsum(strips)])
    return float(np.interp(running[-1] / 2, running, np.arange(STRIPS + 1))) / STRIPS
