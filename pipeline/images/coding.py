"""How a file codes its pixels: exactly, with losses, or in the few colours of a palette."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from pipeline.store.records import Measurement

if TYPE_CHECKING:
    from PIL.Image import Image

LOSSLESS, LOSSY, PALETTE = "lossless", "lossy", "palette"
_RANKS = {LOSSLESS: 0, LOSSY: 1, "": 1, PALETTE: 2}
_LOSSY_FORMATS = frozenset({"JPEG", "MPO", "HEIF", "AVIF", "JXL", "JPEG2000"})
_LOSSY_TIFFS = frozenset({"jpeg", "tiff_jpeg", "webp"})
_LUMA_SUM = 3688
"""The sum of the luminance table of T.81, K.1, which libjpeg scales: at quality 50 as it is, at 75 halved."""


def coding_of(image: Image, path: Path) -> tuple[str, int]:
    """One of lossless, lossy and palette, and for JPEGs the quality that libjpeg would have saved it with, 1 to 100, else 0."""
    if image.format in ("JPEG", "MPO"):
        return LOSSY, jpeg_quality(getattr(image, "quantization", {}).get(0, ()))
    if image.format == "WEBP":
        return (LOSSLESS if _is_lossless_webp(path) else LOSSY), 0
    if image.format in _LOSSY_FORMATS or image.info.get("compression") in _LOSSY_TIFFS:
        return LOSSY, 0
    return (PALETTE if image.mode == "P" or image.format == "GIF" else LOSSLESS), 0


def jpeg_quality(table: object) -> int:
    """libjpeg's quality for a luminance table of 64 steps: it scales its own by 5000/q below 50 and by 200 - 2q above."""
    steps = [int(step) for step in table] if isinstance(table, list | tuple) else []
    if len(steps) != 64:
        return 0
    scale = 100 * sum(steps) / _LUMA_SUM
    quality = 5000 / scale if scale > 100 else (200 - scale) / 2
    return max(1, min(100, round(quality)))


def _is_lossless_webp(path: Path) -> bool:
    """Whether the first image chunk of a RIFF file is VP8L (RFC 9649)."""
    with path.open("rb") as stream:
        stream.seek(12)
        while len(head := stream.read(8)) == 8:
            kind, length = head[:4], int.from_bytes(head[4:], "little")
            if kind in (b"VP8L", b"VP8 "):
                return kind == b"VP8L"
            stream.seek(length + length % 2, 1) if kind != b"ANMF" else stream.seek(16, 1)
    return False


def quality_rank(found: Measurement, enough: int) -> tuple[int, int, int, int, float]:
    """What orders copies of one picture, the best first: size as far as training needs it, in steps of two; lossless before
    lossy before a palette; larger; saved with less loss; sharper.

    Args:
        enough: pixels beyond which a larger image is only scaled down more.
    """
    pixels = found.width * found.height
    step = max(1, min(pixels, enough)).bit_length()
    return -step, _RANKS.get(found.coding, 1), -pixels, -found.jpeg_quality, -found.sharpness
