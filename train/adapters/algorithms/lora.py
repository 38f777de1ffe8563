"""LoRA (Hu et al. 2021, arXiv:2106.09685), on convolutions too: ΔW = alpha / r · up·down, or Tucker-decomposed with a
small core between them (LoCon of LyCORIS, Yeh et al. 2023, arXiv:2309.14859)."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor, nn

from train.adapters.algorithms.dora import decomposed, decomposed_output, product_gain
from train.adapters.algorithms.weight_norms import core_norm, product_norm
from train.adapters.inject.base_layer import BaseLayer, core, product
from train.adapters.inject.dropout import Dropout


class Factor(nn.Module):
    """One factor under the name that files give it: `lora_up` holds `lora_up.weight`."""

    def __init__(self, weight: Tensor) -> None:
        super().__init__()
        self.weight = nn.Parameter(weight)


class Lora(nn.Module):
    """up (out, r, 1, 1), mid (r, r, k, k) if any, down (r, in, k, k), the kernel's sides only on convolutions."""

    alpha: Tensor

    def __init__(self, tensors: Mapping[str, Tensor]) -> None:
        super().__init__()
        self.lora_up, self.lora_down = Factor(tensors["lora_up.weight"]), Factor(tensors["lora_down.weight"])
        self.lora_mid = Factor(tensors["lora_mid.weight"]) if "lora_mid.weight" in tensors else None
        self.dora_scale = nn.Parameter(tensors["dora_scale"]) if "dora_scale" in tensors else None
        self.rank = self.lora_down.weight.shape[0]
        self.register_buffer("alpha", tensors.get("alpha", torch.tensor(float(self.rank))))
        self.scale = float(self.alpha) / self.rank

    def output(self, site: BaseLayer, x: Tensor, strength: float, drops: Dropout) -> Tensor:
        """Along the chain of small factors, never as a weight; so nothing is rounded away beside a large base weight."""
        up = self._up(self.scale if self.dora_scale is not None else self.scale * strength, drops)
        if self.dora_scale is None:
            return site.plus(x, self._chain(site, x, up, drops))
        gain = product_gain(site, self.dora_scale, up, self._down())
        return decomposed_output(site, x, gain, lambda scaled: self._chain(site, scaled, up, drops), strength)

    def _up(self, scale: float, drops: Dropout) -> Tensor:
        up = self.lora_up.weight.flatten(1)
        kept = drops.ranks(up)
        return up * (scale if kept is None else scale * kept)

    def _down(self) -> Tensor:
        down = self.lora_down.weight
        if self.lora_mid is None:
            return down
        return core(self.lora_mid.weight, torch.eye(self.rank, device=down.device), down.flatten(1))

    def _chain(self, site: BaseLayer, x: Tensor, up: Tensor, drops: Dropout) -> Tensor:
        down = self.lora_down.weight
        if self.lora_mid is None:
            inner = site.apply(x, down)
        else:
            inner = site.apply(site.pointwise(x, down.flatten(1)), self.lora_mid.weight)
        return site.pointwise(drops.neurons(inner), up)

    def delta(self, site: BaseLayer) -> tuple[Tensor, Tensor | None]:
        change = product(self.scale * self.lora_up.weight.flatten(1), self._down())
        return change if self.dora_scale is None else decomposed(site.whole(), change, self.dora_scale), None

    def norm(self, site: BaseLayer) -> Tensor:
        up, down = self.lora_up.weight, self.lora_down.weight
        plain = product_norm(up, down) if self.lora_mid is None else core_norm(self.lora_mid.weight, up, down)
        return plain * self.scale

    def shrink(self, ratio: Tensor) -> None:
        root = ratio.sqrt()
        self.lora_up.weight.mul_(root)
        self.lora_down.weight.mul_(root)
