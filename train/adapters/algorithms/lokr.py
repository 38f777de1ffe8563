"""LoKr: ΔW = w1 ⊗ w2, a Kronecker product of a small matrix and a large one, each whole or of low rank (KronA, Edalati et
al. 2022, arXiv:2212.10650; LyCORIS, Yeh et al. 2023, arXiv:2309.14859)."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn

from train.adapters.algorithms.dense import dense_output
from train.adapters.algorithms.dora import decomposed
from train.adapters.algorithms.weight_norms import core_norm, product_norm
from train.adapters.inject.base_layer import BaseLayer, core, in_full
from train.adapters.inject.dropout import Dropout

BUILDING, MOVING = 300, 250
"""What building one number of ΔW and its gradients costs, and moving one of the parts, in multiplications of a matrix
product; measured on a CPU."""
NAMES = ("lokr_w1", "lokr_w1_a", "lokr_w1_b", "lokr_w2", "lokr_w2_a", "lokr_w2_b", "lokr_t2")


class Lokr(nn.Module):
    """w1 (a, c) and w2 (b, d, k, k) for a weight (a·b, c·d, k, k), or w1_a (a, r), w1_b (r, c) and w2_a (b, r),
    w2_b (r, d·k·k); Tucker-decomposed w2_a (r, b), w2_b (r, d) and the core t2 (r, r, k, k). Either a
    factor or its pair is there, the other None."""

    alpha: Tensor
    lokr_w1: nn.Parameter | None
    lokr_w1_a: Any
    lokr_w1_b: Any
    lokr_w2: nn.Parameter | None
    lokr_w2_a: Any
    lokr_w2_b: Any
    lokr_t2: nn.Parameter | None

    def __init__(self, tensors: Mapping[str, Tensor]) -> None:
        super().__init__()
        for name in NAMES:
            setattr(self, name, nn.Parameter(tensors[name]) if name in tensors else None)
        self.dora_scale = nn.Parameter(tensors["dora_scale"]) if "dora_scale" in tensors else None
        low = self.lokr_w2_b if self.lokr_w2 is None else self.lokr_w1_b
        self.rank = 0 if low is None else low.shape[0]
        self.register_buffer("alpha", tensors.get("alpha", torch.tensor(float(self.rank or 1))))
        self.scale = float(self.alpha) / self.rank if self.rank else 1.0

    def output(self, site: BaseLayer, x: Tensor, strength: float, drops: Dropout) -> Tensor:
        if self.dora_scale is not None or not self._chained(site, x):
            return dense_output(site, x, self._delta(site, drops), strength, drops)
        small, large = self._small(self.scale * strength, drops), self._large(site, drops)
        return site.plus(x, drops.neurons(self._chain(site, x, small, large)))

    def _chained(self, site: BaseLayer, x: Tensor) -> bool:
        """Whether products with the two factors, and moving the parts about, are less than building ΔW and the one more
        product with it, or three in half precision."""
        out, inner = site.weight.shape[0], math.prod(site.weight.shape[1:])
        first = self.lokr_w1 if self.lokr_w1 is not None else self.lokr_w1_b
        count, places = first.shape[1], x.numel() // site.weight.shape[1]
        rows = first.shape[0] if self.lokr_w1 is not None else self.lokr_w1_a.shape[0]
        parts = count * out // rows
        chain = 3 * (inner * out // rows + parts * rows) + MOVING * (parts + out)
        dense = places * (1 if site.exact(x) else 3) + BUILDING
        return places * chain < dense * out * inner

    def _chain(self, site: BaseLayer, x: Tensor, small: Tensor, large: Tensor) -> Tensor:
        """w2 on each of the c parts of the input, then w1 across them; ΔW is never built."""
        count = small.shape[1]
        if not site.convolution:
            parts = site.apply(x.unflatten(-1, (count, -1)), large)
            return site.pointwise(parts.mT, small).mT.flatten(-2)
        parts = site.apply(x.unflatten(1, (count, -1)).flatten(0, 1), large).unflatten(0, (-1, count))
        mixed = small.to(parts.dtype) @ parts.flatten(2)
        whole: Tensor = mixed.unflatten(2, parts.shape[2:]).flatten(1, 2)
        return whole

    def _small(self, scale: float, drops: Dropout) -> Tensor:
        if self.lokr_w1 is not None:
            return scale * self.lokr_w1
        kept = drops.ranks(self.lokr_w1_a) if self.lokr_w2 is not None else None
        with in_full(self.lokr_w1_a):
            small: Tensor = (self.lokr_w1_a * (scale if kept is None else scale * kept)) @ self.lokr_w1_b
        return small

    def _large(self, site: BaseLayer, drops: Dropout) -> Tensor:
        if self.lokr_w2 is not None:
            return self.lokr_w2
        up = self.lokr_w2_a if self.lokr_t2 is None else self.lokr_w2_a.mT
        kept = drops.ranks(up)
        up = up if kept is None else up * kept
        if self.lokr_t2 is not None:
            return core(self.lokr_t2, up, self.lokr_w2_b)
        with in_full(up):
            large: Tensor = (up @ self.lokr_w2_b).unflatten(1, (-1, *site.weight.shape[2:]))
        return large

    def _delta(self, site: BaseLayer, drops: Dropout) -> Tensor:
        small, large = self._small(self.scale, drops), self._large(site, drops)
        delta = kronecker(small, large)
        return delta if self.dora_scale is None else decomposed(site.whole(), delta, self.dora_scale)

    def delta(self, site: BaseLayer) -> tuple[Tensor, Tensor | None]:
        return self._delta(site, Dropout("")), None

    def norm(self, site: BaseLayer) -> Tensor:
        one: Tensor = product_norm(self.lokr_w1_a, self.lokr_w1_b) if self.lokr_w1 is None else self.lokr_w1.norm()
        if self.lokr_w2 is not None:
            dense: Tensor = one * self.lokr_w2.norm() * self.scale
            return dense
        if self.lokr_t2 is not None:
            return one * core_norm(self.lokr_t2, self.lokr_w2_a.mT, self.lokr_w2_b) * self.scale
        return one * product_norm(self.lokr_w2_a, self.lokr_w2_b) * self.scale

    def shrink(self, ratio: Tensor) -> None:
        factors = [weight for name in NAMES if (weight := getattr(self, name)) is not None]
        for factor in factors:
            factor.mul_(ratio ** (1 / len(factors)))


def kronecker(small: Tensor, large: Tensor) -> Tensor:
    """(a, c) ⊗ (b, d, …) → (a·b, c·d, …)."""
    flat = large.reshape(*large.shape[:2], -1)
    whole = small[:, None, :, None, None] * flat[None, :, None, :, :]
    return whole.reshape(small.shape[0] * large.shape[0], small.shape[1] * large.shape[1], *large.shape[2:])
