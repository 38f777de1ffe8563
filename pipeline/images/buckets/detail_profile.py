"""Where an image's detail lies: how much of it each strip holds, across the image and down it."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np

STRIPS = 32
"""Strips per axis: each column strip is a 32nd of the width, each row strip a 32nd of the height."""
LENGTH = 4 * STRIPS
"""Characters of a written focus: two hexadecimal digits a strip, columns first."""


def focus(grey: np.ndarray) -> str:
    """Measure the share of detail per strip: gradient (Sobel, |dx| + |dy|), summed, the fullest strip of an axis 255.

    Args:
        grey: (H, W) uint8, the whole image at a small size; 256 pixels are plenty.
    Returns:
        128 hexadecimal digits: 32 column strips from left to right, then 32 row strips from top to bottom.
    """
    import cv2
    import numpy as np

    detail = np.abs(cv2.Sobel(grey, cv2.CV_16S, 1, 0))
    detail += np.abs(cv2.Sobel(grey, cv2.CV_16S, 0, 1))
    columns, rows = detail.sum(axis=0, dtype=np.int64), detail.sum(axis=1, dtype=np.int64)
    return np.concatenate([_strips(columns), _strips(rows)]).tobytes().hex()


def profile(focus: str) -> tuple[np.ndarray, np.ndarray]:
    """What `focus` wrote, as (32,) column strips and (32,) row strips, 0..255 of float64.

    Raises:
        ValueError: the text is no such profile.
    """
    import numpy as np

    values = np.frombuffer(bytes.fromhex(focus), np.uint8).astype(np.float64)
    if len(values) != 2 * STRIPS:
        raise ValueError(f"a focus has {LENGTH} digits, not {len(focus)}")
    return values[:STRIPS], values[STRIPS:]


def _strips(sums: np.ndarray) -> np.ndarray:
    """Split sums per pixel column into 32 strips of equal width, a pixel on an edge shared, and scale to 0..255."""
    import numpy as np

    running = np.concatenate([[0.0], np.cumsum(sums)])
    edges = np.linspace(0, len(sums), STRIPS + 1)
    strips = np.diff(np.interp(edges, np.arange(len(running)), running))
    fullest = strips.max()
    scaled = strips * 255 / fullest if fullest > 0 else strips
    profile: np.ndarray = np.rint(scaled).astype(np.uint8)
    return profile
