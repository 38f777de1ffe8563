"""GLoRA (Chavan et al. 2023, arXiv:2306.07967) as LyCORIS has it: ΔW = alpha / r · (W·a1·a2 + b1·b2)."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor, nn

from train.adapters.algorithms.lora import Factor
from train.adapters.algorithms.weight_norms import product_norm
from train.adapters.inject.base_layer import BaseLayer, in_full
from train.adapters.inject.dropout import Dropout


class Glora(nn.Module):
    """a1 (in, r), a2 (r, in), b1 (out, r) and b2 (r, in, k, k); all but the kernel of b2 with sides of 1."""

    alpha: Tensor

    def __init__(self, tensors: Mapping[str, Tensor]) -> None:
        super().__init__()
        self.a1, self.a2 = Factor(tensors["a1.weight"]), Factor(tensors["a2.weight"])
        self.b1, self.b2 = Factor(tensors["b1.weight"]), Factor(tensors["b2.weight"])
        self.rank = self.a2.weight.shape[0]
        self.register_buffer("alpha", tensors.get("alpha", torch.tensor(float(self.rank))))
        self.scale = float(self.alpha) / self.rank

    def output(self, site: BaseLayer, x: Tensor, strength: float, drops: Dropout) -> Tensor:
        """On activations, as W·a1·a2·x is the layer on another input; a 1 × 1 step goes before zero padding as well as
        after it."""
        turned = self._side(site, site.pointwise(x, self.a2.weight.flatten(1)), self.a1, strength, drops, "a")
        added = self._side(site, site.apply(x, self.b2.weight), self.b1, strength, drops, "b")
        if site.takes(x):
            return site.plus(x + turned, added)
        return site.plus(x, site.apply(turned, site.weight) + added)

    def _side(
        self, site: BaseLayer, inner: Tensor, factor: Factor, strength: float, drops: Dropout, what: str
    ) -> Tensor:
        up, scale = factor.weight.flatten(1), self.scale * strength
        kept = drops.ranks(up, what)
        return site.pointwise(drops.neurons(inner, what), up * (scale if kept is None else scale * kept))

    def _factors(self, site: BaseLayer) -> tuple[Tensor, Tensor]:
        """(out·k·k, 2r) and (2r, in) for 1 × 1 layers; see `delta` for larger kernels."""
        turned = site.whole().flatten(1) @ self.a1.weight.flatten(1)
        up = torch.cat([turned, self.b1.weight.flatten(1)], 1) * self.scale
        return up, torch.cat([self.a2.weight.flatten(1), self.b2.weight.flatten(1)])

    def delta(self, site: BaseLayer) -> tuple[Tensor, Tensor | None]:
        with in_full(self.a1.weight):
            turned = torch.einsum(
                "oi...,ij->oj...", site.whole(), self.a1.weight.flatten(1) @ self.a2.weight.flatten(1)
            )
            added = (self.b1.weight.flatten(1) @ self.b2.weight.flatten(1)).view_as(turned)
        return self.scale * (turned + added), None

    def norm(self, site: BaseLayer) -> Tensor:
        if site.weight[0, 0].numel() == 1:
            return product_norm(*self._factors(site))
        norm: Tensor = self.delta(site)[0].norm()
        return norm

    def shrink(self, ratio: Tensor) -> None:
        root = ratio.sqrt()
        for factor in (self.a1, self.a2, self.b1, self.b2):
            factor.weight.mul_(root)
