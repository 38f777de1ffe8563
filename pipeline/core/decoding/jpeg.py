"""JPEGs that are not whole: which lack only their end mark and lose nothing, and how much of the others is lost."""

from __future__ import annotations

from pathlib import Path

from pipeline.core.decoding.jpeg_scan import END, lost_share

MOST_LOST = 0.001
"""Share of the pixels that may be lost without an image counting as damaged: less than anyone sees."""


def has_warnings(data: bytes) -> bool:
    """Whether libjpeg-turbo has anything to say against the data of a JPEG, its missing end mark apart.

    The colours are not made, only the mean of every 8×8 pixels, so that it takes a part of the time of decoding.
    """
    import simplejpeg

    whole = data if END in data[-64:] else data + END
    try:
        inks = simplejpeg.decode_jpeg_header(whole)[2] in ("CMYK", "YCCK")
        wanted = "CMYK" if inks else "GRAY"
        simplejpeg.decode_jpeg(whole, colorspace=wanted, min_height=1, min_width=1, min_factor=8, strict=True)
    except ValueError:
        return True
    return False


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
