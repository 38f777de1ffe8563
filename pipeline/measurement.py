"""Measurements: what a picture's pixels say, in figures that thresholds are set on later."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from pipeline.images import UnreadableImage, decode, is_rotated, is_transparent, open_image
from pipeline.records import Measurement

if TYPE_CHECKING:
    from PIL.Image import Image

WORKING_SIDE = 256
"""Sharpness and contrast are measured with the longer side reduced to this; smaller pictures are taken as they are."""


def measure_picture(path: Path, content: str) -> Measurement:
    """Measure one file; one that cannot be decoded gives a measurement with a `problem`.

    Raises:
        UnreadableImage: the file is not there or not allowed to be read, which says nothing about its content.
    """
    width = height = 0
    kind = mode = ""
    try:
        with open_image(path) as picture:
            rotated, transparent = is_rotated(picture), is_transparent(picture)
            width, height, kind, mode = picture.width, picture.height, picture.format or "", picture.mode
            frames = 1 if kind == "MPO" else int(getattr(picture, "n_frames", 1))  # an MPO's others are previews
            colours = decode(picture, path)
    except UnreadableImage as error:
        if error.reason in ("missing", "cannot be read"):
            raise
        problem = error.reason + (f": {error.detail}" if error.detail else "")
        return Measurement(content, width, height, kind, mode, problem=problem)
    except Exception as error:  # counting the frames of a broken animation
        return Measurement(content, width, height, kind, mode, problem=f"corrupt: {error}")
    sharpness, contrast, phash = figures(colours)
    return Measurement(
        content, colours.width, colours.height, kind, mode, frames, rotated, transparent, sharpness, contrast, phash
    )


def figures(colours: Image) -> tuple[float, float, str]:
    """Sharpness (variance of the Laplacian), contrast (standard deviation of grey, 0..127.5), perceptual hash."""
    import cv2
    import numpy as np

    grey = np.asarray(colours.convert("L"))
    scale = WORKING_SIDE / max(grey.shape)
    size = (max(1, round(grey.shape[1] * scale)), max(1, round(grey.shape[0] * scale)))
    working = cv2.resize(grey, size, interpolation=cv2.INTER_AREA) if scale < 1 else grey
    sharpness = float(cv2.Laplacian(working, cv2.CV_64F).var())
    small = cv2.resize(grey, (32, 32), interpolation=cv2.INTER_AREA).astype(np.float32)
    low = cv2.dct(small)[:8, :8].flatten()
    bits = low > np.median(low[1:])
    phash = f"{int.from_bytes(np.packbits(bits).tobytes(), 'big'):016x}"
    return round(sharpness, 3), round(float(working.std()), 3), phash
