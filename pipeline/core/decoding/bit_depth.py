"""Images of more than 8 bits a channel brought to 8."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import PIL.Image
from PIL.Image import Image

from pipeline.core.decoding.tiff import colours_of, is_beyond_pillow, side_data, size_of

if TYPE_CHECKING:
    from numpy.typing import NDArray


_TIFF_STARTS = (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")
_ORIENTATION = 0x0112


def bits_of(image: Image) -> int:
    """Bits per channel of an image that is not loaded yet: 8 (or fewer), 16 or 32."""
    if image.mode in ("I", "F"):
        return 32
    tiles = getattr(image, "tile", None)  # how the file is packed: [(decoder, box, offset, arguments)]
    raw = str(tiles[0][3]) if tiles else ""
    return 16 if ";16" in image.mode + raw else 8


def deep_tiff(image: Image, path: Path | str) -> Image | None:
    """A TIFF that Pillow reads wrongly, as L, LA, RGB or RGBA; None of any other."""
    if image.format != "TIFF" or not is_beyond_pillow(getattr(image, "tag_v2", {})):
        return None
    return _image(path)


def foreign_tiff(path: Path | str, max_pixels: int) -> Image | None:
    """A TIFF that Pillow does not know, decoded, with its profile and orientation; None of what is none or too large."""
    with Path(path).open("rb") as stream:
        if stream.read(4) not in _TIFF_STARTS:
            return None
    size = size_of(path)
    if size is None or size[0] * size[1] > max_pixels:
        return None
    image = _image(path)
    image.format = "TIFF"
    orientation, profile = side_data(path)
    image.getexif()[_ORIENTATION] = orientation
    if profile:
        image.info["icc_profile"] = profile
    return image


def _image(path: Path | str) -> Image:
    values = colours_of(path)
    return PIL.Image.fromarray(values[..., 0] if values.shape[2] == 1 else values)


def rounded(image: Image, path: Path | str) -> Image:
    """16-bit colours rounded to 8 bits. Pillow cuts off their lower byte, and the colour that a PNG calls clear."""
    import cv2
    import numpy as np

    values = cv2.imdecode(np.fromfile(path, np.uint8), cv2.IMREAD_UNCHANGED)
    if values is None or values.dtype != np.uint16 or values.ndim != 3 or values.shape[1::-1] != image.size:
        return image
    return to_eight_bit(cv2.cvtColor(values, cv2.COLOR_BGRA2RGBA if values.shape[2] == 4 else cv2.COLOR_BGR2RGB))


def to_eight_bit(values: NDArray[Any]) -> Image:
    """(height, width, 3 or 4) uint16 as RGB or RGBA, rounded."""
    import numpy as np

    return PIL.Image.fromarray(np.rint(values.astype(np.float32) / 257).astype(np.uint8))


def eight_bit(image: Image) -> Image:
    """Scale 16-bit, 32-bit and floating-point grey to 8 bits, keeping a transparent grey value."""
    if image.mode not in ("I", "F") and not image.mode.startswith("I;16"):
        return image
    import numpy as np

    values = np.nan_to_num(np.asarray(image).astype(np.float64), posinf=0.0, neginf=0.0)
    top = _white_level(float(values.max(initial=0.0)), image.mode)
    grey = PIL.Image.fromarray(np.clip(values * 255.0 / top + 0.5, 0, 255).astype(np.uint8))
    clear = image.info.get("transparency")
    if isinstance(clear, int):
        grey.putalpha(PIL.Image.fromarray(np.where(values == clear, 0, 255).astype(np.uint8)))
    return grey


def _white_level(highest: float, mode: str) -> float:
    """The value that means white: 65535 for 16 bits; for the loose modes the nearest usual one that holds it."""
    if mode.startswith("I;16"):
        return 65535.0
    usual = (65535.0,) if mode == "I" else (1.0, 255.0, 65535.0)
    return next((level for level in usual if highest <= level), highest)
