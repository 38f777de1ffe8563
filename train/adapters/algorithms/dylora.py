"""DyLoRA (Valipour et al. 2022, arXiv:2210.07558), experimental: a LoRA that is good at every rank, not only at its whole
one.

Each step draws a rank b, a multiple of the unit, for all layers: the first b ranks act, with alpha / b, and the last unit
of them learns, as in kohya-ss/sd-scripts. A file cut to its first b ranks, its alpha left, is then read as it was trained.
"""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor, nn

from train.adapters.algorithms.lora import Factor
from train.adapters.algorithms.weight_norms import product_norm
from train.adapters.inject.base_layer import BaseLayer, product
from train.adapters.inject.dropout import Dropout


class Dylora(nn.Module):
    """up (out, r, 1, 1) and down (r, in, k, k), saved as a LoRA's."""

    alpha: Tensor

    def __init__(self, tensors: Mapping[str, Tensor]) -> None:
        super().__init__()
        self.lora_up, self.lora_down = Factor(tensors["lora_up.weight"]), Factor(tensors["lora_down.weight"])
        self.rank = self.lora_down.weight.shape[0]
        self.register_buffer("alpha", tensors.get("alpha", torch.tensor(float(self.rank))))
        self.whole_alpha = float(self.alpha)

    def output(self, site: BaseLayer, x: Tensor, strength: float, drops: Dropout) -> Tensor:
        up: Tensor = self.lora_up.weight.flatten(1)
        down: Tensor = self.lora_down.weight
        used = self.rank
        block = drops.block(self.rank)
        if block is not None:
            start, used = block
            down = torch.cat([down[:start].detach(), down[start:used]])
            up = torch.cat([up[:, :start].detach(), up[:, start:used]], 1)
        inner = drops.neurons(site.apply(x, down))
        return site.plus(x, site.pointwise(inner, up * (strength * self.whole_alpha / used)))

    def delta(self, site: BaseLayer) -> tuple[Tensor, Tensor | None]:
        return product(self.lora_up.weight.flatten(1) * (self.whole_alpha / self.rank), self.lora_down.weight), None

    def norm(self, site: BaseLayer) -> Tensor:
        return product_norm(self.lora_up.weight, self.lora_down.weight) * (self.whole_alpha / self.rank)

    def shrink(self, ratio: Tensor) -> None:
        root = ratio.sqrt()
        self.lora_up.weight.mul_(root)
        self.lora_down.weight.mul_(root)
