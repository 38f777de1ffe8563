"""A picture as a tagger wants it: composited on white, padded to a square at its own scale, then resized once."""

from __future__ import annotations

import numpy as np
import PIL.Image
from PIL.Image import Image, Resampling

from taggers.spec import ModelSpec

FILTERS = {"bicubic": Resampling.BICUBIC, "bilinear": Resampling.BILINEAR, "lanczos": Resampling.LANCZOS}


def square(picture: Image, side: int, spec: ModelSpec) -> np.ndarray:
    """The picture as (side, side, 3) uint8 in the model's channel order.

    Padding comes before resizing, so that odd aspect ratios keep their place to a fraction of a pixel.
    """
    picture = opaque(picture)
    if spec.pad is not None and picture.width != picture.height:
        longest = max(picture.size)
        canvas = PIL.Image.new("RGB", (longest, longest), spec.pad)
        canvas.paste(picture, ((longest - picture.width) // 2, (longest - picture.height) // 2))
        picture = canvas
    if picture.size != (side, side):
        picture = picture.resize((side, side), FILTERS[spec.interpolation])
    pixels = np.asarray(picture)
    return pixels[:, :, ::-1] if spec.channels == "BGR" else pixels


def opaque(picture: Image) -> Image:
    """RGB, with transparency composited on white."""
    if picture.mode == "RGB":
        return picture
    clear = picture.convert("RGBA")
    canvas = PIL.Image.new("RGBA", clear.size, (255, 255, 255, 255))
    return PIL.Image.alpha_composite(canvas, clear).convert("RGB")


def as_input(pixels: np.ndarray, spec: ModelSpec) -> np.ndarray:
    """(N, S, S, 3) uint8 in the model's channel order → its float32 input, (N, S, S, 3) or (N, 3, S, S)."""
    values = pixels.astype(np.float32)
    if spec.scale != 255:
        values *= spec.scale / 255
    if spec.mean != (0, 0, 0) or spec.std != (1, 1, 1):
        order = slice(None, None, -1) if spec.channels == "BGR" else slice(None)
        values = (values - np.asarray(spec.mean, np.float32)[order]) / np.asarray(spec.std, np.float32)[order]
    return np.ascontiguousarray(values.transpose(0, 3, 1, 2)) if spec.layout == "NCHW" else values
