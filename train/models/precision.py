"""Numbers the frozen base model is kept and computed in."""

from __future__ import annotations

from dataclasses import replace

import torch

from train.models.options import PrecisionOptions
from train.models.storage import Keeping, Numbers

Dtype = torch.dtype
DTYPES = {"no": torch.float32, "fp32": torch.float32, "fp16": torch.float16, "bf16": torch.bfloat16}
"""By `mixed_precision`, `save_precision` and `vae_precision`, once they are decided for a device."""


def keeping_of(options: PrecisionOptions) -> Keeping:
    """How a base model is kept by options that are decided."""
    assert options.weights_precision != "auto", "decided for the device before a model is loaded"
    numbers = Numbers(DTYPES[options.mixed_precision], options.weights_precision)
    unet = replace(numbers, streamed=options.offload == "blocks")
    return Keeping(unet, numbers, lean=options.offload != "none")
