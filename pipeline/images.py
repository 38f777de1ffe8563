"""Pictures decoded: the one way from a file to RGB pixels, for every stage and the trainer."""

from __future__ import annotations

import io
import struct
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import PIL.Image
from PIL import ImageCms, ImageOps
from PIL.Image import Image

from pipeline.errors import PrepError

WHITE = (255, 255, 255)
MAX_PIXELS = 178_956_970
"""Pillow's own limit against files that unpack to more memory than there is."""
_TRANSPARENT_MODES = ("RGBA", "LA", "PA", "RGBa", "La")


class UnreadableImage(PrepError):
    """A file that gives no pixels. `reason` is a short phrase that can be counted, `detail` the decoder's words."""

    def __init__(self, path: Path | str, reason: str, detail: str = "") -> None:
        super().__init__(
            f"{path}: {reason}" + (f" ({detail})" if detail else ""), "prep check leaves such pictures out"
        )
        self.path, self.reason, self.detail = str(path), reason, detail


def open_image(path: Path | str, max_pixels: int = MAX_PIXELS) -> Image:
    """Open a picture by its content, whatever its name says; pixels are not decoded yet.

    Raises:
        UnreadableImage: missing, empty, not a picture, or larger than `max_pixels`.
    """
    try:
        if Path(path).stat().st_size == 0:
            raise UnreadableImage(path, "empty file")
        picture = PIL.Image.open(path)
    except UnreadableImage:
        raise
    except Exception as error:
        raise UnreadableImage(path, _reason(error), _words(error)) from error
    if picture.width * picture.height > max_pixels:
        size = f"{picture.width}×{picture.height}"
        picture.close()
        raise UnreadableImage(path, "too many pixels", f"{size}, at most {max_pixels}")
    return picture


def load_rgb(path: Path | str, background: tuple[int, int, int] = WHITE, max_pixels: int = MAX_PIXELS) -> Image:
    """Decode a picture as a viewer shows it: first frame, turned by EXIF, sRGB, transparency over `background`.

    Raises:
        UnreadableImage: the file gives no pixels, or not all of them.
    """
    with open_image(path, max_pixels) as picture:
        return decode(picture, path, background)


def decode(picture: Image, path: Path | str, background: tuple[int, int, int] = WHITE) -> Image:
    """The pixels of an open picture as `load_rgb` gives them."""
    try:
        picture.load()
        profile = picture.info.get("icc_profile")
        colours = _on_background(_upright(_eight_bit(picture)), profile, background)
    except Exception as error:
        raise UnreadableImage(path, _reason(error), _words(error)) from error
    return colours


def load_cropped(path: Path | str, bucket: Mapping[str, Any]) -> Image:
    """The picture as it is trained on: scaled to the bucket decision's `scaled`, then cut to its `crop`."""
    left, top, right, bottom = bucket["crop"]
    scaled = load_rgb(path).resize(tuple(bucket["scaled"]), PIL.Image.Resampling.LANCZOS)
    return scaled.crop((left, top, right, bottom))


def is_transparent(picture: Image) -> bool:
    """Whether a picture can hold transparent pixels."""
    return picture.mode in _TRANSPARENT_MODES or "transparency" in picture.info


def is_rotated(picture: Image) -> bool:
    """Whether EXIF asks for the picture to be turned or mirrored."""
    try:
        return picture.getexif().get(0x0112, 1) in range(2, 9)
    except Exception:
        return False


def _upright(picture: Image) -> Image:
    try:
        return ImageOps.exif_transpose(picture)
    except (ValueError, TypeError, SyntaxError, KeyError, struct.error, OSError):
        return picture


def _eight_bit(picture: Image) -> Image:
    """Scale 16-bit, 32-bit and floating-point grey to 8 bits, keeping EXIF and a transparent grey value."""
    if picture.mode not in ("I", "F") and not picture.mode.startswith("I;16"):
        return picture
    import numpy as np

    values = np.asarray(picture).astype(np.float64)
    top = _white_level(float(values.max(initial=0.0)), picture.mode)
    grey = PIL.Image.fromarray(np.clip(np.nan_to_num(values) * 255.0 / top + 0.5, 0, 255).astype(np.uint8))
    clear = picture.info.get("transparency")
    if isinstance(clear, int):
        grey.putalpha(PIL.Image.fromarray(np.where(values == clear, 0, 255).astype(np.uint8)))
    grey.info.update({key: value for key, value in picture.info.items() if key == "icc_profile"})
    grey.getexif().update(picture.getexif())
    return grey


def _white_level(highest: float, mode: str) -> float:
    """The value that means white: 65535 for 16 bits; for the loose modes the nearest usual one that holds it."""
    if mode.startswith("I;16"):
        return 65535.0
    usual = (65535.0,) if mode == "I" else (1.0, 255.0, 65535.0)
    return next((level for level in usual if highest <= level), highest)


def _on_background(picture: Image, profile: bytes | None, background: tuple[int, int, int]) -> Image:
    if not is_transparent(picture):
        return _srgb(picture, profile)
    clear = picture.convert("RGBA")
    opaque = picture.convert("LA").getchannel("L") if picture.mode in ("LA", "La") else clear.convert("RGB")
    colours = _srgb(opaque, profile)
    canvas = PIL.Image.new("RGB", colours.size, background)
    canvas.paste(colours, mask=clear.getchannel("A"))
    return canvas


def _srgb(picture: Image, profile: bytes | None) -> Image:
    """Convert to sRGB by the embedded profile; a broken or foreign profile counts as none."""
    if profile and picture.mode in ("RGB", "CMYK", "L", "LAB"):
        try:
            embedded = ImageCms.ImageCmsProfile(io.BytesIO(profile))
            if not ImageCms.getProfileDescription(embedded).startswith("sRGB"):
                changed = ImageCms.profileToProfile(picture, embedded, ImageCms.createProfile("sRGB"), outputMode="RGB")
                if changed is not None:
                    return changed
        except (ImageCms.PyCMSError, OSError, ValueError, TypeError):
            pass
    if picture.mode == "LAB":
        transform = ImageCms.buildTransform(ImageCms.createProfile("LAB"), ImageCms.createProfile("sRGB"), "LAB", "RGB")
        changed = ImageCms.applyTransform(picture, transform)
        assert changed is not None
        return changed
    return picture.convert("RGB")


def _reason(error: Exception) -> str:
    if isinstance(error, FileNotFoundError):
        return "missing"
    if isinstance(error, PermissionError):
        return "cannot be read"
    if isinstance(error, PIL.UnidentifiedImageError):
        return "not a picture, or of an unknown kind"
    if isinstance(error, PIL.Image.DecompressionBombError):
        return "too many pixels"
    text = str(error).lower()
    return "truncated" if any(word in text for word in ("truncated", "unexpected end", "eof")) else "corrupt"


def _words(error: Exception) -> str:
    """The decoder's words, without the path they may repeat."""
    if isinstance(error, PIL.UnidentifiedImageError | FileNotFoundError):
        return ""
    return str(error) or type(error).__name__
