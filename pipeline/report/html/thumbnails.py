"""Images inside the page: made small, written as data URLs, each file read once."""

from __future__ import annotations

import base64
import io
import math
from dataclasses import dataclass
from pathlib import Path

from PIL import Image

from pipeline.core.decoding.image_io import UnreadableImage, load_rgb

THUMBNAIL_SIDE = 160
PIXEL_ART_SIDE = 96
"""An image whose longer side has at most this many pixels is shown upscaled, every pixel a crisp square."""
SAMPLE_SIDE = 512
SHOWN_SIDE = 192
"""Side of the square whose area a sample image is shown in, about; pixel art is upscaled by a whole number."""


@dataclass(frozen=True, slots=True)
class Thumbnail:
    """An image as a page shows it: its data URL, "" for a file that cannot be shown, and its size on the page.

    `crisp` is pixel art, shown without smoothing.
    """

    name: str
    url: str = ""
    width: int = 0
    height: int = 0
    crisp: bool = False

    @property
    def instead(self) -> str:
        """What stands in the place of an image that cannot be shown."""
        return "text file" if Path(self.name).suffix.lower() == ".txt" else "nothing to show"


class Thumbnails:
    """Makes the thumbnails of one page."""

    def __init__(self) -> None:
        self._seen: dict[tuple[Path, int], tuple[str, tuple[int, int]] | None] = {}

    def small(self, file: Path | None, name: str) -> Thumbnail:
        """An image at most 160 pixels large."""
        return self._thumbnail(file, name, THUMBNAIL_SIDE, THUMBNAIL_SIDE)

    def sample(self, file: Path | None, name: str) -> Thumbnail:
        """A generated image as it is; small ones are upscaled by a whole number."""
        return self._thumbnail(file, name, SAMPLE_SIDE, SHOWN_SIDE)

    def _thumbnail(self, file: Path | None, name: str, side: int, shown: int) -> Thumbnail:
        found = self._encoded(file, side) if file else None
        if found is None:
            return Thumbnail(name)
        url, (width, height) = found
        crisp = max(width, height) <= PIXEL_ART_SIDE
        wanted = shown / math.sqrt(width * height)
        factor = max(1, round(wanted)) if crisp else min(1.0, wanted if side == SAMPLE_SIDE else 1.0)
        return Thumbnail(name, url, round(width * factor), round(height * factor), crisp)

    def _encoded(self, file: Path, side: int) -> tuple[str, tuple[int, int]] | None:
        key = file, side
        if key not in self._seen:
            try:
                self._seen[key] = encode(load_rgb(file), side)
            except UnreadableImage:
                self._seen[key] = None
        return self._seen[key]


def encode(image: Image.Image, side: int) -> tuple[str, tuple[int, int]]:
    """(data URL, size) of an image downscaled to fit `side`; a small one is kept without loss."""
    image = image.copy()
    image.thumbnail((side, side), Image.Resampling.LANCZOS)
    stream = io.BytesIO()
    crisp = max(image.size) <= PIXEL_ART_SIDE
    image.save(stream, "WEBP", lossless=crisp, quality=80, method=4)
    return f"data:image/webp;base64,{base64.b64encode(stream.getvalue()).decode('ascii')}", image.size
