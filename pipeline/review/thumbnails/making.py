"""An image made small and encoded anew: what leaves the desk is never the file itself."""

from __future__ import annotations

import contextlib
import functools
import io
import warnings
from pathlib import Path

from PIL import Image, ImageDraw

from pipeline.core.decoding.image_io import UnreadableImage, load_rgb
from pipeline.core.files import file_digest, write_bytes

FOLDER = "cache/thumbnails"
KIND = "image/webp"
SMALL, LARGE = 360, 1600
"""Pixels of the longer side: on the wall, and in the large view."""
QUALITY = 82
CRISP = 96
"""An image whose longer side has at most this many pixels is kept without loss."""


def thumbnail(root: Path, file: Path, content: str) -> bytes:
    """The small image of a content, made where it is not there yet; a grey sheet for what cannot be shown."""
    kept = root / FOLDER / content[:2] / f"{content}.webp"
    with contextlib.suppress(OSError):
        return kept.read_bytes()
    made = encoded(file, SMALL)
    if made is None:
        return nothing()
    with contextlib.suppress(OSError):  # a set that cannot be written to is looked at all the same
        if file_digest(file) != content:
            return made  # it was edited a moment ago, and has another content
        kept.parent.mkdir(parents=True, exist_ok=True)
        write_bytes(kept, made)
    return made


def encoded(file: Path, side: int) -> bytes | None:
    """A file's image at most `side` pixels large, upright and in sRGB; None for what cannot be shown."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            image = load_rgb(file)
    except (UnreadableImage, OSError, MemoryError):
        return None
    image.thumbnail((side, side), Image.Resampling.LANCZOS)
    stream = io.BytesIO()
    image.save(stream, "WEBP", lossless=max(image.size) <= CRISP, quality=QUALITY, method=3)
    return stream.getvalue()


def shown(file: Path, side: int) -> bytes:
    """The same; a grey sheet for what cannot be shown."""
    return encoded(file, side) or nothing()


@functools.cache
def nothing() -> bytes:
    """A sheet that says that there is nothing to show."""
    sheet = Image.new("RGB", (160, 120), (128, 128, 128))
    ImageDraw.Draw(sheet).text((38, 52), "cannot be shown", fill=(255, 255, 255))
    stream = io.BytesIO()
    sheet.save(stream, "WEBP", lossless=True)
    return stream.getvalue()
