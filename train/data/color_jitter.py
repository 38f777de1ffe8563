"""Changes of an image's colours: brightness, contrast, saturation and hue, computed on RGB pixels."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pipeline.core.seeded import key_seed

TURN_DEGREES = 60.0
"""What a hue change of 1 would turn colours by: from one primary colour to the secondary one beside it."""
LUMA = (0.299, 0.587, 0.114)
"""Weights of red, green and blue in how bright a colour looks (ITU-R BT.601)."""
_YIQ = np.array([LUMA, (0.596, -0.274, -0.322), (0.211, -0.523, 0.312)])
"""RGB to luma and two axes of chroma (NTSC)."""


@dataclass(frozen=True, slots=True)
class Colour:
    """A change of colours: three factors, of which 1 changes nothing, and the degrees that hues are turned by."""

    brightness: float = 1.0
    contrast: float = 1.0
    saturation: float = 1.0
    hue_degrees: float = 0.0


def drawn_colour(jitter: float, *key: int | str) -> Colour:
    """A change of at most `jitter`: factors from 1 - jitter to 1 + jitter, hue by up to jitter · 60° either way."""
    brightness, contrast, saturation, hue = (
        jitter * (2 * uniform(*key, name) - 1) for name in ("brightness", "contrast", "saturation", "hue")
    )
    return Colour(
        round(1 + brightness, 4), round(1 + contrast, 4), round(1 + saturation, 4), round(hue * TURN_DEGREES, 2)
    )


def uniform(*key: int | str) -> float:
    """A number in [0, 1) for a key; far quicker to have than a generator, where a set needs hundreds of thousands."""
    return key_seed(*key) / 2**63


def changed(pixels: NDArray[np.float32], colour: Colour) -> NDArray[np.float32]:
    """The pixels with other colours, in this order: brightness multiplies; contrast spreads them about the image's
    mean luma; saturation and hue stretch and turn their chroma, which leaves every pixel's luma as it is.

    Args:
        pixels: (H, W, 3) RGB, 0 to 255.
    Returns:
        the same shape, cut off at 0 and 255, not rounded.
    """
    lit = pixels * np.float32(colour.brightness)
    mean = np.float32((lit.reshape(-1, 3).mean(axis=0, dtype=np.float64) * LUMA).sum())
    spread = (lit - mean) * np.float32(colour.contrast) + mean
    return np.clip(spread @ chroma_matrix(colour.saturation, colour.hue_degrees).T, 0, 255)


def chroma_matrix(saturation: float, hue_degrees: float) -> NDArray[np.float32]:
    """(3, 3) that takes RGB columns to YIQ, stretches and turns I and Q there, and takes them back."""
    angle = math.radians(hue_degrees)
    across, along = saturation * math.cos(angle), saturation * math.sin(angle)
    turned = np.array([(1, 0, 0), (0, across, -along), (0, along, across)])
    matrix: NDArray[np.float32] = (np.linalg.inv(_YIQ) @ turned @ _YIQ).astype(np.float32)
    return matrix
