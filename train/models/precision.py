"""Numbers the frozen base model is kept and computed in."""

from __future__ import annotations

import torch
from torch import nn

Dtype = torch.dtype
DTYPES = {"no": torch.float32, "fp32": torch.float32, "fp16": torch.float16, "bf16": torch.bfloat16}
"""By the recipe's `mixed_precision`, `save_precision` and `vae_precision`."""


def lower(model: nn.Module, dtype: torch.dtype) -> None:
    """Keep the weights of frozen linear layers and convolutions in `dtype`.

    autocast would round the very same weights to it, at each use anew; norms and embeddings, which it leaves in float32,
    stay there.
    """
    if dtype is torch.float32:
        return
    for layer in model.modules():
        if isinstance(layer, nn.Linear | nn.Conv2d) and not layer.weight.requires_grad:
            layer.to(dtype)
