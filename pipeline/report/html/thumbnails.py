"""Images inside the page: made small, written as data URLs, each file read once."""

from __future__ import annotations

import base64
import io
import math
from pathlib import Path

from PIL import Image

from pipeline.core.image_io import UnreadableImage, load_rgb
from pipeline.report.html.markup import Html, element

THUMBNAIL_SIDE = 160
PIXEL_ART_SIDE = 96
"""An image whose longer side has at most this many pixels is shown enlarged, every pixel a crisp square."""
SAMPLE_SIDE = 512
SHOWN_SIDE = 192
"""Side of the square whose area a generated image is shown in, about; pixel art is enlarged by a whole number."""


class Thumbnails:
    """Turns files into `img` elements for one page."""

    def __init__(self) -> None:
        self._seen: dict[tuple[Path, int], tuple[str, tuple[int, int]] | None] = {}

    def thumbnail(self, file: Path | None, name: str) -> Html:
        """An image at most 160 pixels large, or a box that says there is nothing to show."""
        return self._element(file, name, THUMBNAIL_SIDE, THUMBNAIL_SIDE)

    def sample(self, file: Path | None, name: str) -> Html:
        """A generated image as it is; small ones are enlarged by a whole number."""
        return self._element(file, name, SAMPLE_SIDE, SHOWN_SIDE)

    def _element(self, file: Path | None, name: str, side: int, shown: int) -> Html:
        found = self._encoded(file, side) if file else None
        if found is None:
            words = "text file" if Path(name).suffix.lower() == ".txt" else "nothing to show"
            return element("span", words, class_="nothing", title=name)
        url, (width, height) = found
        crisp = max(width, height) <= PIXEL_ART_SIDE
        wanted = shown / math.sqrt(width * height)
        factor = max(1, round(wanted)) if crisp else min(1.0, wanted if side == SAMPLE_SIDE else 1.0)
        return element(
            "img",
            src=url,
            alt=name,
            title=name,
            width=round(width * factor),
            height=round(height * factor),
            loading="lazy",
            class_="crisp" if crisp else None,
        )

    def _encoded(self, file: Path, side: int) -> tuple[str, tuple[int, int]] | None:
        key = file, side
        if key not in self._seen:
            try:
                self._seen[key] = encode(load_rgb(file), side)
            except UnreadableImage:
                self._seen[key] = None
        return self._seen[key]


def encode(image: Image.Image, side: int) -> tuple[str, tuple[int, int]]:
    """(data URL, size) of an image reduced to fit `side`; a small one is kept without loss."""
    image = image.copy()
    image.thumbnail((side, side), Image.Resampling.LANCZOS)
    stream = io.BytesIO()
    crisp = max(image.size) <= PIXEL_ART_SIDE
    image.save(stream, "WEBP", lossless=crisp, quality=80, method=4)
    return f"data:image/webp;base64,{base64.b64encode(stream.getvalue()).decode('ascii')}", image.size
