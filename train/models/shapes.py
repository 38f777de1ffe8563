"""The shapes of a base model's tensors, read without loading it."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

Shapes = Mapping[str, tuple[int, ...]]
"""Weight → its shape."""


@dataclass(frozen=True, slots=True)
class BaseShapes:
    """A base model by its shapes; `text` are those of all its text encoders. `channels` are the UNet's first, `factor` the
    pixels per latent pixel along a side, `text_width` that of the widest text encoder."""

    unet: Shapes
    text: Shapes
    vae: Shapes
    channels: int
    factor: int
    latent_channels: int
    text_width: int
    family: str = "sd1"


def parameter_count(shapes: Shapes) -> int:
    """How many numbers a model holds."""
    return sum(math.prod(shape) for shape in shapes.values())
