"""Measurements: what an image's pixels say, in figures that thresholds are set on later."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pipeline.core.decoding.bit_depth import bits_of
from pipeline.core.decoding.image_io import (
    WHITE,
    UnreadableImage,
    alpha_of,
    open_image,
    orientation_of,
    profile_of,
    rgb,
    shown,
    shown_as_stored,
    unpacked,
)
from pipeline.core.decoding.jpeg import MOST_LOST, lost_of_file, sound_pixels
from pipeline.images.coding import coding_of
from pipeline.store.records import Measurement

if TYPE_CHECKING:
    import numpy as np
    from PIL.Image import Image

WORKING_SIDE = 256
"""Sharpness, contrast and focus are measured with the longer side reduced to this; smaller images stay as they are."""
COLOUR_SIDE = 128
"""Colours are sampled at about this many places a side."""
HASH_SIDE = 64
"""Images are squeezed into this square before PDQ hashes them, as it does itself."""
SAME_COLOUR = 16
"""Levels of 256 by which a bar's pixels differ at most: what JPEG makes of an even colour."""
MAX_STRAY = 0.02
"""Share of a line's pixels that may differ and leave it part of a bar."""


def measure_image(path: Path, content: str, background: str = "#ffffff") -> Measurement:
    """Measure one file; one that cannot be decoded gives a measurement with a `problem`.

    Args:
        background: what training will put a transparent image on, #rrggbb.

    Raises:
        UnreadableImage: the file is not there or not allowed to be read, which says nothing about its content.
    """
    seen: dict[str, Any] = {}
    try:
        with open_image(path) as image:
            seen |= {"width": image.width, "height": image.height, "format": image.format or ""}
            seen |= {"mode": image.mode, "bits": bits_of(image), "profile": profile_of(image)}
            seen["frames"] = _frames(image)
            seen["coding"], seen["jpeg_quality"] = coding_of(image, path)
            sound = _sound_jpeg(image, path)
            plain = sound is not None and shown_as_stored(image)
            if not plain:
                seen["lost"] = 0.0 if sound is not None else _lost(image, path)
                whole = unpacked(image, path)
                alpha = alpha_of(whole)
                colours = shown(whole, image, path, rgb(background))
                seen["orientation"] = orientation_of(image)
    except UnreadableImage as error:
        if error.reason in ("missing", "cannot be read"):
            raise
        seen["problem"] = error.reason + (f": {error.detail}" if error.detail else "")
        return Measurement(content, **seen)
    except Exception as error:  # counting the frames of a broken animation
        return Measurement(content, **seen, problem=f"corrupt: {error}")
    if plain and sound is not None:
        return Measurement(content, **seen, **figures_of(sound))
    seen |= {"width": colours.width, "height": colours.height, "transparent": alpha is not None}
    if alpha is not None:
        seen |= {"hidden": hidden_share(whole, alpha, rgb(background)), "background": background}
    return Measurement(content, **seen, **figures(colours))


def _sound_jpeg(image: Image, path: Path) -> np.ndarray | None:
    """(height, width, 3) of a JPEG without any damage, whose pixels are then known before Pillow decodes it."""
    if image.format not in ("JPEG", "MPO"):
        return None
    try:
        found = sound_pixels(path.read_bytes(), image.mode)
    except OSError as error:
        raise UnreadableImage(path, "cannot be read", str(error)) from error
    return found if found is not None and found.shape[1::-1] == image.size else None


def _lost(image: Image, path: Path) -> float:
    """The share of a JPEG's pixels that is lost.

    Raises:
        UnreadableImage: more than nobody sees.
    """
    if image.format not in ("JPEG", "MPO"):
        return 0.0
    try:
        share = lost_of_file(path)
    except OSError as error:
        raise UnreadableImage(path, "cannot be read", str(error)) from error
    if share > MOST_LOST:
        raise UnreadableImage(path, "damaged", f"about {share:.0%} of its pixels are lost")
    return round(share, 6)


def _frames(image: Image) -> int:
    """Frames of an animation; the further images of an MPO are previews and other views, not frames."""
    return 1 if image.format == "MPO" else int(getattr(image, "n_frames", 1))


def figures(colours: Image) -> dict[str, Any]:
    """The fields of a measurement that are read off the pixels of an RGB image."""
    from pipeline.core.decoding.pixels import pixels

    return figures_of(pixels(colours))


def figures_of(full: np.ndarray) -> dict[str, Any]:
    """The same of its pixels, (height, width, 3 or 4) uint8, of which a fourth channel means nothing."""
    import cv2
    import numpy as np

    from pipeline.images.buckets.detail_profile import focus
    from pipeline.images.duplicates import fingerprint

    grey = halved(cv2.cvtColor(full, cv2.COLOR_RGBA2GRAY if full.shape[2] == 4 else cv2.COLOR_RGB2GRAY))
    every = max(1, max(full.shape[:2]) // COLOUR_SIDE)
    tiny = np.ascontiguousarray(full[::every, ::every, :3])
    working = _reduced(grey, WORKING_SIDE)
    phash, quality = perceptual_hash(grey)
    left, top, right, bottom = bars(full, grey)
    return {
        "sharpness": round(_spread(cv2.Laplacian(working, cv2.CV_16S)) ** 2, 3),
        "contrast": round(_spread(working), 3),
        "phash": phash,
        "hash_quality": quality,
        "fingerprint": fingerprint(grey, tiny, full.shape[1::-1]),
        "focus": focus(working),
        "bar_left": left,
        "bar_top": top,
        "bar_right": right,
        "bar_bottom": bottom,
    }


def _spread(values: np.ndarray) -> float:
    """Standard deviation."""
    import cv2

    return float(cv2.meanStdDev(values)[1][0, 0])


def halved(grey: np.ndarray) -> np.ndarray:
    """Halve an image while its longer side stays at least as long as the working side.

    Each pixel is the mean of 2×2, which is quicker than any other reduction; an odd last line is left out.
    """
    import cv2

    while max(grey.shape) >= 2 * WORKING_SIDE and min(grey.shape) >= 2:
        height, width = grey.shape[0] // 2, grey.shape[1] // 2
        grey = cv2.resize(grey[: height * 2, : width * 2], (width, height), interpolation=cv2.INTER_AREA)
    return grey


def _reduced(grey: np.ndarray, side: int) -> np.ndarray:
    import cv2

    scale = side / max(grey.shape)
    size = (max(1, round(grey.shape[1] * scale)), max(1, round(grey.shape[0] * scale)))
    return cv2.resize(grey, size, interpolation=cv2.INTER_AREA) if scale < 1 else grey


def perceptual_hash(grey: np.ndarray) -> tuple[str, int]:
    """PDQ of a grey image: 256 bits as 64 hex digits, and how much there is to go by, 0 to 100.

    Davis and others, "The TMK+PDQF video-hashing algorithm and the PDQ image-hashing algorithm" (Facebook, 2019).
    """
    import cv2
    import numpy as np
    import pdqhash

    square = cv2.resize(grey, (HASH_SIDE, HASH_SIDE), interpolation=cv2.INTER_AREA)
    bits, quality = pdqhash.compute(cv2.cvtColor(square, cv2.COLOR_GRAY2RGB))
    return np.packbits(bits).tobytes().hex(), int(quality)


def hidden_share(whole: Image, alpha: Image, background: tuple[int, int, int] = WHITE) -> float:
    """Share of pixels that are wholly clear and hold another colour than the background: they show where alpha is dropped."""
    import numpy as np

    if whole.mode not in ("RGBA", "LA"):
        return 0.0
    values = np.asarray(whole)
    clear = np.asarray(alpha) == 0
    other = (values[..., :-1] != np.array(background if whole.mode == "RGBA" else background[:1], np.uint8)).any(axis=2)
    return round(float((clear & other).mean()), 4)


def bars(full: np.ndarray, grey: np.ndarray) -> tuple[int, int, int, int]:
    """Widths in pixels of uniform bars along the left, top, right and bottom edge, 0 where there is none.

    A bar is of one colour and ends at once along most of its length, which tells it from an empty background.

    Args:
        full: (height, width, channels) uint8.
        grey: the same image without colours, reduced; bars are looked for here and then measured in `full`.
    """
    found = []
    for turn in ((1, 0), (0, 1)):
        for step in (1, -1):
            lines, many = grey.transpose(turn)[::step], full.transpose(*turn, 2)[::step, :, :3]
            count = _even_lines(lines)
            found.append(_even_lines_of_full(many, count, len(many) / len(lines)) if count else 0)
    left, right, top, bottom = found
    return left, top, right, bottom


def _even_lines(lines: np.ndarray) -> int:
    """How many grey lines from the first on are of its level, if most of what follows them at once is not; else 0.

    They are at most half of all lines.
    """
    import numpy as np

    low, high = int(lines[0].min()), int(lines[0].max())
    if high - low > 2 * SAME_COLOUR or len(lines) < 4:
        return 0
    level = (low + high) // 2
    other = np.asarray(np.abs(lines[: len(lines) // 2].astype(np.int16) - level) > SAME_COLOUR)
    uneven = np.asarray(other.any(axis=1))
    count = int(uneven.argmax())
    after = other[count + 1 : count + 3]
    return count if uneven[count] and after.size and after.mean() >= 0.5 else 0


def _even_lines_of_full(lines: np.ndarray, count: int, scale: float) -> int:
    """The number of lines of one colour in the full image, where about `count` times `scale` of them are expected.

    A few pixels of a line may differ, as they do where JPEG draws an edge.
    """
    import numpy as np

    colour = np.median(lines[0], axis=0).astype(np.int16)
    before = lines[: max(1, int((count - 1) * scale)) : max(1, int(scale))]
    start, stop = int((count - 1) * scale), int((count + 2) * scale) + 2
    if _share_of_others(before, colour).max() > MAX_STRAY:
        return 0
    uneven = _share_of_others(lines[start:stop], colour) > MAX_STRAY
    return start + int(uneven.argmax()) if uneven.any() else 0


def _share_of_others(lines: np.ndarray, colour: np.ndarray) -> np.ndarray:
    """(n,) share of each line's pixels that are not of the colour."""
    import numpy as np

    return np.asarray((np.abs(lines.astype(np.int16) - colour).max(axis=2) > SAME_COLOUR).mean(axis=1))


@contextlib.contextmanager
def measuring_many(threads: int) -> Iterator[None]:
    """Let many threads measure at once: images follow each other in the same memory, and OpenCV starts no threads.

    Both are settings of the process, and are put back.
    """
    import cv2
    from PIL import Image

    core = Image.core  # type: ignore[attr-defined]  # Pillow's C module, which its types leave out
    before = core.get_blocks_max(), cv2.getNumThreads()
    core.set_blocks_max(2 * threads)
    cv2.setNumThreads(1)
    try:
        yield
    finally:
        core.set_blocks_max(before[0])
        core.clear_cache()
        cv2.setNumThreads(before[1])
