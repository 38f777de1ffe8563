"""Which precision the VAE computes in."""

from __future__ import annotations

import torch

from train.models.precision import DTYPES
from train.options.recipe import Recipe


def vae_dtype(recipe: Recipe, device: torch.device) -> torch.dtype:
    """What the VAE computes in when it encodes images for the cache; its weights stay in float32."""
    if recipe.precision.vae_precision != "auto":
        return DTYPES[recipe.precision.vae_precision]
    return torch.float16 if device.type == "cuda" and recipe.precision.mixed_precision != "no" else torch.float32
