"""JPEGs that are not whole: which lack only their end mark and lose nothing, and how much of the others is lost."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from pipeline.core.decoding.jpeg_scan import END, lost_share

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

MOST_LOST = 0.001
"""Share of the pixels that may be lost without an image counting as damaged: less than anyone sees."""

TAIL = 64
"""Bytes at the end of a file among which its end mark is looked for."""


def has_warnings(data: bytes) -> bool:
    """Whether libjpeg-turbo has anything to say against the data of a JPEG, its missing end mark apart.

    The colours are not made, only the mean of every 8×8 pixels, so that it takes a part of the time of decoding.
    """
    import simplejpeg

    whole = data if END in data[-TAIL:] else data + END
    try:
        inks = simplejpeg.decode_jpeg_header(whole)[2] in ("CMYK", "YCCK")
        wanted = "CMYK" if inks else "GRAY"
        simplejpeg.decode_jpeg(whole, colorspace=wanted, min_height=1, min_width=1, min_factor=8, strict=True)
    except ValueError:
        return True
    return False


def sound_pixels(data: bytes, mode: str) -> NDArray[np.uint8] | None:
    """The pixels of a JPEG that has its end mark and that libjpeg-turbo has nothing to say against: what Pillow makes of it,
    in three quarters of its time and without a second look for damage.

    Args:
        mode: Pillow's for the file: RGB, or L for grey.
    Returns:
        (height, width, 3) uint8, of which a grey image has three equal channels; None of any other.
    """
    import cv2
    import simplejpeg

    colours = {"RGB": ("YCbCr", "RGB"), "L": ("Gray",)}.get(mode, ())
    if END not in data[-TAIL:]:
        return None  # of a progressive one, whole scans may be missing without a word
    try:
        if simplejpeg.decode_jpeg_header(data)[2] not in colours:
            return None
        found = simplejpeg.decode_jpeg(data, colorspace="RGB" if mode == "RGB" else "GRAY", strict=True)
    except ValueError:
        return None
    pixels: NDArray[np.uint8] = found if mode == "RGB" else cv2.cvtColor(found, cv2.COLOR_GRAY2RGB)
    return pixels


def lost_of_file(path: Path | str) -> float:
    """The share of a JPEG's pixels that its data does not hold, 0..1; 0 where nothing is said against it.

    Raises:
        OSError: the file cannot be read.
    """
    data = Path(path).read_bytes()
    if not has_warnings(data):
        return 0.0
    share = lost_share(data)
    return 0.0 if share is None else share
