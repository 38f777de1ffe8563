"""TIFFs that Pillow reads wrongly or not at all: more than 8 bits a channel, white as zero, planes apart with an alpha."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping

    import numpy as np
    from numpy.typing import NDArray

_BITS, _PHOTOMETRIC, _PLANES, _EXTRA = 258, 262, 284, 338
"""The tags BitsPerSample, PhotometricInterpretation, PlanarConfiguration and ExtraSamples (TIFF 6.0)."""
_WHITE_IS_ZERO, _RGB = 0, 2
_SEPARATE, _ASSOCIATED = 2, 1
_ORIENTATION, _PROFILE = 274, 34675


def is_beyond_pillow(tags: Mapping[int, Any]) -> bool:
    """Whether the pixels of the first page are to be read by `colours_of`: grey or RGB, and of more than 8 bits a channel or
    with planes apart and an alpha."""
    bits = tags.get(_BITS, (1,))
    deep = max(bits if isinstance(bits, tuple) else (bits,)) > 8
    apart = tags.get(_PLANES) == _SEPARATE and bool(tags.get(_EXTRA))
    return tags.get(_PHOTOMETRIC) in (_WHITE_IS_ZERO, 1, _RGB) and (deep or apart)


def colours_of(path: Path | str) -> NDArray[np.uint8]:
    """(height, width, 1 to 4) uint8 of the first page: grey or RGB, and alpha behind it where there is one, with colours that
    are not multiplied by it.

    Raises:
        ValueError, OSError, RuntimeError: the data is broken, or compressed in a way that cannot be read.
    """
    import numpy as np
    import tifffile

    with tifffile.TiffFile(path) as file:
        page = file.pages.first
        values = np.asarray(page.asarray())
        values = values.reshape((*values.shape[-2:], 1)) if values.ndim == 2 else values
        if page.planarconfig == _SEPARATE and page.samplesperpixel > 1:
            values = np.moveaxis(values, 0, -1)
        extra, kind = tuple(page.extrasamples), page.photometric
    count = 3 if kind == _RGB else 1
    scaled = np.nan_to_num(values.astype(np.float64), posinf=0.0, neginf=0.0) / _white(values)
    colours, alpha = scaled[..., :count], scaled[..., count : count + 1]
    if kind == _WHITE_IS_ZERO:
        colours = 1 - colours
    if extra and extra[0] == _ASSOCIATED:
        colours = np.divide(colours, alpha, out=np.zeros_like(colours), where=alpha > 0)
    whole = np.concatenate([colours, alpha], axis=2) if extra else colours
    eight: NDArray[np.uint8] = np.clip(np.rint(whole * 255), 0, 255).astype(np.uint8)
    return eight


def size_of(path: Path | str) -> tuple[int, int] | None:
    """(width, height) of the first page, None of what is no TIFF."""
    import tifffile

    try:
        with tifffile.TiffFile(path) as file:
            page = file.pages.first
            return int(page.imagewidth), int(page.imagelength)
    except (tifffile.TiffFileError, OSError, ValueError, KeyError, IndexError):
        return None


def side_data(path: Path | str) -> tuple[int, bytes | None]:
    """The orientation, 1 to 8, and the colour profile of the first page."""
    import tifffile

    with tifffile.TiffFile(path) as file:
        tags = file.pages.first.tags
        return int(tags.valueof(_ORIENTATION, 1)), tags.valueof(_PROFILE, None)


def _white(values: NDArray[Any]) -> float:
    """The value that means white: of 8 and 16 bits the highest; of 32 bits and floating point the nearest usual one that holds
    what there is, as writers differ."""
    import numpy as np

    if values.dtype in (np.uint8, np.uint16):
        return float(np.iinfo(values.dtype).max)
    floating = np.issubdtype(values.dtype, np.floating)
    usual = (1.0, 255.0, 65535.0) if floating else (65535.0, 4294967295.0)
    highest = float(np.nan_to_num(values.astype(np.float64), posinf=0.0, neginf=0.0).max(initial=0.0))
    return next((level for level in usual if highest <= level), highest)
