"""Trained changes of a normalization layer's own weight and bias."""

from __future__ import annotations

from collections.abc import Mapping

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from train.adapters.inject.base_layer import BaseLayer, in_full
from train.adapters.inject.dropout import Dropout


class Norm(nn.Module):
    """w_norm and b_norm (channels,)."""

    def __init__(self, tensors: Mapping[str, Tensor]) -> None:
        super().__init__()
        self.w_norm = nn.Parameter(tensors["w_norm"])
        self.b_norm = nn.Parameter(tensors["b_norm"]) if "b_norm" in tensors else None

    def output(self, site: BaseLayer, x: Tensor, strength: float, drops: Dropout) -> Tensor:
        """In float32, which these layers take under autocast too; the result as the layer would give it."""
        layer = site.layer
        with in_full(x):
            weight = site.weight.float() + strength * self.w_norm
            bias = None if site.bias is None else site.bias.float()
            if self.b_norm is not None:
                bias = strength * self.b_norm if bias is None else bias + strength * self.b_norm
            if isinstance(layer, nn.GroupNorm):
                y = F.group_norm(x.float(), layer.num_groups, weight, bias, layer.eps)
            else:
                y = F.layer_norm(x.float(), layer.normalized_shape, weight, bias, layer.eps)  # type: ignore[arg-type]
        return y if torch.is_autocast_enabled(x.device.type) else y.to(x.dtype)

    def delta(self, site: BaseLayer) -> tuple[Tensor, Tensor | None]:
        return self.w_norm.detach().clone(), None if self.b_norm is None else self.b_norm.detach().clone()
