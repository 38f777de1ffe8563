"""An image as a tagger wants it: composited on white, padded to a square, resized once."""

from __future__ import annotations

import numpy as np
import PIL.Image
from PIL.Image import Image, Resampling

from taggers.spec import ModelSpec

FILTERS = {"bicubic": Resampling.BICUBIC, "bilinear": Resampling.BILINEAR, "lanczos": Resampling.LANCZOS}


def square(image: Image, side: int, spec: ModelSpec) -> np.ndarray:
    """The image as (side, side, 3) uint8 in the model's channel order.

    Without a canvas padding comes before resizing, so that odd aspect ratios keep their place to a fraction of a pixel.
    """
    image = opaque(image)
    if spec.pad is not None:
        image = _padded(_fitted(image, spec) if spec.canvas else image, spec.canvas, spec.pad)
    if image.size != (side, side):
        image = image.resize((side, side), FILTERS[spec.interpolation])
    if spec.channels == "BGR":
        # Pillow turns the channels round several times faster than a numpy array with a negative step is copied
        return np.frombuffer(image.tobytes("raw", "BGR"), np.uint8).reshape(side, side, 3)
    return np.asarray(image)


def opaque(image: Image) -> Image:
    """RGB, with transparency composited on white."""
    if image.mode == "RGB":
        return image
    clear = image.convert("RGBA")
    canvas = PIL.Image.new("RGBA", clear.size, (255, 255, 255, 255))
    return PIL.Image.alpha_composite(canvas, clear).convert("RGB")


def _fitted(image: Image, spec: ModelSpec) -> Image:
    """The image with its longer side as long as the canvas."""
    longest = max(image.size)
    width, height = (max(1, part * spec.canvas // longest) for part in image.size)
    return image if image.size == (width, height) else image.resize((width, height), FILTERS[spec.fit])


def _padded(image: Image, canvas: int, colour: tuple[int, int, int]) -> Image:
    """The image in the middle of a square of `canvas` pixels, or of its own longer side where that is 0."""
    side = canvas or max(image.size)
    if image.size == (side, side):
        return image
    whole = PIL.Image.new("RGB", (side, side), colour)
    whole.paste(image, ((side - image.width) // 2, (side - image.height) // 2))
    return whole


def least_size(size: tuple[int, int], side: int, spec: ModelSpec, times: int) -> tuple[int, int]:
    """The (width, height) below which an image of this size must not be decoded, to have `times` the pixels per side
    that the model sees of it."""
    wanted = times * (spec.canvas or side)
    if spec.pad is None:
        return wanted, wanted
    longest = max(size)
    width, height = (-(-part * wanted // longest) for part in size)
    return width, height


class Feed:
    """Turns (N, S, S, 3) uint8 in the model's channel order into its float32 input, into memory taken once."""

    def __init__(self, spec: ModelSpec) -> None:
        order = slice(None, None, -1) if spec.channels == "BGR" else slice(None)
        std = np.asarray(spec.std, np.float64)[order]
        self.gain = (spec.scale / 255 / std).astype(np.float32)
        self.offset = (-np.asarray(spec.mean, np.float64)[order] / std).astype(np.float32)
        self.planes = spec.layout == "NCHW"
        self.room = np.empty(0, np.float32)

    def __call__(self, pixels: np.ndarray) -> np.ndarray:
        """(N, S, S, 3) or (N, 3, S, S) float32, which the next call overwrites."""
        if self.room.size < pixels.size:
            self.room = np.empty(pixels.size, np.float32)
        source = pixels.transpose(0, 3, 1, 2) if self.planes else pixels
        values = self.room[: pixels.size].reshape(source.shape)
        if (self.gain == 1).all() and not self.offset.any():
            np.copyto(values, source)
            return values
        shape = (3, 1, 1) if self.planes else (3,)
        np.multiply(source, self.gain.reshape(shape), out=values, dtype=np.float32)
        values += self.offset.reshape(shape)
        return values
