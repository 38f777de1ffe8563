"""Which precision the VAE computes in."""

from __future__ import annotations

import torch

from train.models.options import PrecisionOptions
from train.models.precision import DTYPES


def vae_dtype(options: PrecisionOptions, device: torch.device) -> torch.dtype:
    """What the VAE computes in when it encodes images for the cache; its weights stay in float32."""
    if options.vae_precision != "auto":
        return DTYPES[options.vae_precision]
    return torch.float16 if device.type in ("cuda", "xpu") and options.mixed_precision != "no" else torch.float32
