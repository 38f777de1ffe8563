"""Images decoded: the one way from a file to RGB pixels, for every stage and the trainer."""

from __future__ import annotations

import contextlib
import functools
import io
from collections.abc import Iterator
from pathlib import Path
from typing import Protocol

import PIL.Image
from PIL import ImageCms
from PIL.Image import Image, Transpose

from pipeline.core.decoding.bit_depth import bits_of, deep_tiff, eight_bit, foreign_tiff, rounded
from pipeline.core.decoding.jpeg import MOST_LOST
from pipeline.core.decoding.jpeg_scan import END, lost_share
from pipeline.core.decoding.png_side_data import without_texts
from pipeline.core.errors import PrepError

WHITE = (255, 255, 255)
MAX_PIXELS = 178_956_970
"""Pillow's own limit against files that unpack to more memory than there is."""
_TRANSPARENT_MODES = ("RGBA", "LA", "PA", "RGBa", "La")
_PROFILED_MODES = ("RGB", "CMYK", "L", "LAB")
_ORIENTATION = 0x0112
_TURNS = {
    2: Transpose.FLIP_LEFT_RIGHT,
    3: Transpose.ROTATE_180,
    4: Transpose.FLIP_TOP_BOTTOM,
    5: Transpose.TRANSPOSE,
    6: Transpose.ROTATE_270,
    7: Transpose.TRANSVERSE,
    8: Transpose.ROTATE_90,
}
"""What undoes each EXIF orientation but 1, the upright one (CIPA DC-008, "Exif", tag Orientation)."""


class UnreadableImage(PrepError):
    """A file that gives no pixels. `reason` is a short phrase that can be counted, `detail` the decoder's words."""

    def __init__(self, path: Path | str, reason: str, detail: str = "") -> None:
        super().__init__(f"{path}: {reason}" + (f" ({detail})" if detail else ""), "prep check leaves such images out")
        self.path, self.reason, self.detail = str(path), reason, detail


def open_image(path: Path | str, max_pixels: int = MAX_PIXELS) -> Image:
    """Open an image by its content, whatever its name says; pixels are not decoded yet.

    Raises:
        UnreadableImage: missing, empty, not an image, or larger than `max_pixels`.
    """
    try:
        if Path(path).stat().st_size == 0:
            raise UnreadableImage(path, "empty file")
        image = _opened(path, max_pixels)
    except UnreadableImage:
        raise
    except Exception as error:
        raise UnreadableImage(path, _reason(error), _words(error)) from error
    if image.width * image.height > max_pixels:
        size = f"{image.width}×{image.height}"
        image.close()
        raise UnreadableImage(path, "too many pixels", f"{size}, at most {max_pixels}")
    return image


def _opened(path: Path | str, max_pixels: int) -> Image:
    """Opened by Pillow, with the decoders that are packages of their own; texts that it would refuse a PNG for are left out."""
    _register_decoders()
    lighter = without_texts(path)
    if lighter is None:
        try:
            return PIL.Image.open(path)
        except PIL.UnidentifiedImageError:
            tiff = foreign_tiff(path, max_pixels)
            if tiff is None:
                raise
            return tiff
    stream, profile = lighter
    image = PIL.Image.open(stream)
    if profile is not None:
        image.info["icc_profile"] = profile
    return image


@functools.cache
def _register_decoders() -> None:
    """Give Pillow its decoders of HEIC and HEIF (pillow-heif) and of JPEG XL (pillow-jxl-plugin); AVIF is its own."""
    import pillow_heif
    import pillow_jxl  # noqa: F401  # registers itself

    pillow_heif.register_heif_opener(thumbnails=False)


def load_rgb(path: Path | str, background: tuple[int, int, int] = WHITE, max_pixels: int = MAX_PIXELS) -> Image:
    """Decode an image as a viewer shows it: first frame, turned by EXIF, sRGB, transparency over `background`.

    Raises:
        UnreadableImage: the file gives no pixels, or not all of them.
    """
    with open_image(path, max_pixels) as image:
        colours = decode(image, path, background)
    colours = colours.copy() if colours is image else colours
    colours.info.clear()  # saved again, it must not be turned or converted once more
    return colours


def decode(image: Image, path: Path | str, background: tuple[int, int, int] = WHITE) -> Image:
    """The pixels of an open image as `load_rgb` gives them; the image itself where it is plain RGB already."""
    return shown(unpacked(image, path), image, path, background)


def unpacked(image: Image, path: Path | str) -> Image:
    """Load an open image and bring it to 8 bits a channel; it is not turned, and colours and alpha stay as they are.

    Raises:
        UnreadableImage: not all of its pixels are there.
    """
    with _named(path):
        if (tiff := deep_tiff(image, path)) is not None:
            return tiff
        deep = bits_of(image) == 16 and image.mode in ("RGB", "RGBA")
        image = _loaded(image, path)
        return rounded(image, path) if deep else eight_bit(image)


def _loaded(image: Image, path: Path | str) -> Image:
    """The image with its pixels; of a JPEG that only lacks its end they are all there.

    Raises:
        UnreadableImage: a JPEG has lost some.
    """
    try:
        image.load()
        return image
    except OSError as error:
        if image.format not in ("JPEG", "MPO") or _reason(error) != "truncated":
            raise
    data = Path(path).read_bytes() + END
    share = lost_share(data) or 0.0
    if share > MOST_LOST:
        raise UnreadableImage(path, "damaged", f"about {share:.0%} of its pixels are lost")
    whole = PIL.Image.open(io.BytesIO(data))
    whole.load()
    return whole


def shown(whole: Image, image: Image, path: Path | str, background: tuple[int, int, int] = WHITE) -> Image:
    """An unpacked image as a viewer shows it, by the profile and the orientation that came with it."""
    with _named(path):
        colours = _on_background(whole, image.info.get("icc_profile"), background)
        turn = _TURNS.get(orientation_of(image))
        return colours.transpose(turn) if turn is not None else colours


def shown_as_stored(image: Image) -> bool:
    """Whether a viewer shows the stored pixels of an opaque image as they are: no profile changes them, and nothing turns
    them."""
    return _transform(image.info.get("icc_profile") or b"", image.mode) is None and orientation_of(image) == 1


@contextlib.contextmanager
def _named(path: Path | str) -> Iterator[None]:
    """Say of any error of a decoder which file it met and why it gives no pixels."""
    try:
        yield
    except UnreadableImage:
        raise
    except Exception as error:
        raise UnreadableImage(path, _reason(error), _words(error)) from error


class Cropping(Protocol):
    """How an image is brought to its training size."""

    @property
    def scaled(self) -> tuple[int, int]: ...

    @property
    def crop(self) -> tuple[int, int, int, int]: ...

    @property
    def background(self) -> str: ...


def load_cropped(path: Path | str, cropping: Cropping) -> Image:
    """The image as it is trained on: resized to `scaled`, then cropped to `crop`.

    What is transparent shows `background`, `#rrggbb`, or white where it is "".
    """
    whole = load_rgb(path, rgb(cropping.background))
    return whole.resize(cropping.scaled, PIL.Image.Resampling.LANCZOS).crop(cropping.crop)


def rgb(colour: str) -> tuple[int, int, int]:
    """`#rrggbb` as red, green and blue; "" is white."""
    red, green, blue = bytes.fromhex(colour.removeprefix("#")) if colour else WHITE
    return red, green, blue


def alpha_of(whole: Image) -> Image | None:
    """How far each pixel of an unpacked image covers what is below, an L image; None where all do so wholly."""
    if not _has_alpha(whole):
        return None
    bands = whole if whole.mode in _TRANSPARENT_MODES else whole.convert("RGBA")
    alpha = bands.getchannel(len(bands.getbands()) - 1)
    return None if alpha.getextrema() == (255, 255) else alpha


def orientation_of(image: Image) -> int:
    """How EXIF says the image is to be turned, 1 to 8; 1, upright, where it says nothing that makes sense."""
    try:
        value = image.getexif().get(_ORIENTATION, 1)
    except Exception:
        return 1
    return int(value) if value in _TURNS else 1


def profile_of(image: Image) -> str:
    """The name of the embedded colour profile, "" for none; one that cannot be read is called broken."""
    profile = image.info.get("icc_profile")
    return _profile_name(profile) if profile else ""


def _on_background(image: Image, profile: bytes | None, background: tuple[int, int, int]) -> Image:
    if not _has_alpha(image):
        return _srgb(image, profile)
    clear = _with_alpha(image)
    grey = image.mode in ("LA", "La")  # a profile for grey fits no other colours
    colours = _srgb(clear.getchannel("R") if grey else clear.convert("RGB"), profile)
    canvas = PIL.Image.new("RGB", colours.size, background)
    canvas.paste(colours, mask=clear.getchannel("A"))
    return canvas


def _has_alpha(image: Image) -> bool:
    return image.mode in _TRANSPARENT_MODES or "transparency" in image.info


def _with_alpha(image: Image) -> Image:
    """RGBA with colours that are not multiplied by alpha."""
    return (image.convert("LA") if image.mode == "La" else image).convert("RGBA")


def _srgb(image: Image, profile: bytes | None) -> Image:
    """Convert to sRGB by the embedded profile; a broken or foreign profile counts as none."""
    plain = image if image.mode in _PROFILED_MODES else image.convert("RGB")
    transform = _transform(profile or b"", plain.mode)
    if transform is not None:
        changed = ImageCms.applyTransform(plain, transform)
        assert changed is not None
        return changed
    return plain if plain.mode == "RGB" else plain.convert("RGB")


@functools.lru_cache(maxsize=16)
def _transform(profile: bytes, mode: str) -> ImageCms.ImageCmsTransform | None:
    """From a profile to sRGB; None where nothing is to be done. Building one takes longer than a small image."""
    if not profile and mode != "LAB":
        return None
    try:
        embedded = _read_profile(profile) if profile else ImageCms.createProfile("LAB")
        if profile and ImageCms.getProfileDescription(embedded).startswith("sRGB"):
            return None
        return ImageCms.buildTransform(embedded, ImageCms.createProfile("sRGB"), mode, "RGB")
    except (ImageCms.PyCMSError, OSError, ValueError, TypeError):
        return _transform(b"", mode) if profile else None


@functools.lru_cache(maxsize=16)
def _profile_name(profile: bytes) -> str:
    try:
        return " ".join(ImageCms.getProfileDescription(_read_profile(profile)).split()) or "without a name"
    except (ImageCms.PyCMSError, OSError, ValueError, TypeError):
        return "broken"


def _read_profile(profile: bytes) -> ImageCms.ImageCmsProfile:
    return ImageCms.ImageCmsProfile(io.BytesIO(profile))


def _reason(error: Exception) -> str:
    if isinstance(error, FileNotFoundError):
        return "missing"
    if isinstance(error, PermissionError):
        return "cannot be read"
    if isinstance(error, PIL.UnidentifiedImageError):
        return "not an image, or of an unknown kind"
    if isinstance(error, PIL.Image.DecompressionBombError):
        return "too many pixels"
    text = str(error).lower()
    return "truncated" if any(word in text for word in ("truncated", "unexpected end", "eof")) else "corrupt"


def _words(error: Exception) -> str:
    """The decoder's words, without the path they may repeat."""
    if isinstance(error, PIL.UnidentifiedImageError | FileNotFoundError):
        return ""
    return str(error) or type(error).__name__
