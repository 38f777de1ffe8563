"""LoHa: ΔW = alpha / r · (w1_a·w1_b) ∘ (w2_a·w2_b), a Hadamard product of two low-rank ones (FedPara, Hyeon-Woo et al.
2021, arXiv:2108.06098; LyCORIS, Yeh et al. 2023, arXiv:2309.14859).

The same matrix is a product of rank r²: the row-wise Khatri-Rao product of w1_a and w2_a times the column-wise one of w1_b
and w2_b. Where that chain is shorter than building ΔW, it is taken.
"""

from __future__ import annotations

import math
from collections.abc import Mapping

import torch
from torch import Tensor, nn

from train.adapters.algorithms.dense import dense_output
from train.adapters.algorithms.dora import decomposed, decomposed_output, product_gain
from train.adapters.algorithms.weight_norms import product_norm
from train.adapters.inject.base_layer import BaseLayer, core, in_full
from train.adapters.inject.dropout import Dropout

BUILDING = 300
"""What building one number of ΔW and its gradients costs, in multiplications of a matrix product."""


class Loha(nn.Module):
    """w1_a, w2_a (out, r) and w1_b, w2_b (r, in·k·k); Tucker-decomposed (r, out), (r, in) and cores t1, t2 (r, r, k, k)."""

    alpha: Tensor

    def __init__(self, tensors: Mapping[str, Tensor]) -> None:
        super().__init__()
        self.hada_w1_a, self.hada_w1_b = nn.Parameter(tensors["hada_w1_a"]), nn.Parameter(tensors["hada_w1_b"])
        self.hada_w2_a, self.hada_w2_b = nn.Parameter(tensors["hada_w2_a"]), nn.Parameter(tensors["hada_w2_b"])
        self.hada_t1 = nn.Parameter(tensors["hada_t1"]) if "hada_t1" in tensors else None
        self.hada_t2 = nn.Parameter(tensors["hada_t2"]) if "hada_t2" in tensors else None
        self.dora_scale = nn.Parameter(tensors["dora_scale"]) if "dora_scale" in tensors else None
        self.rank = self.hada_w1_b.shape[0]
        self.register_buffer("alpha", tensors.get("alpha", torch.tensor(float(self.rank))))
        self.scale = float(self.alpha) / self.rank

    def output(self, site: BaseLayer, x: Tensor, strength: float, drops: Dropout) -> Tensor:
        if not self._chained(site, x):
            return dense_output(site, x, self._decomposed(site, self._delta(site, drops)), strength, drops)
        up, down = self._factors(site, self.scale if self.dora_scale is not None else self.scale * strength, drops)

        def chain(x: Tensor) -> Tensor:
            return site.pointwise(drops.neurons(site.apply(x, down)), up)

        if self.dora_scale is None:
            return site.plus(x, chain(x))
        return decomposed_output(site, x, product_gain(site, self.dora_scale, up, down), chain, strength)

    def _chained(self, site: BaseLayer, x: Tensor) -> bool:
        """Whether three products with the factors (forward, to the input, to the factors) are less than building ΔW and the
        one more product with it, or three in half precision."""
        if self.hada_t1 is not None:
            return False
        out, inner = site.weight.shape[0], math.prod(site.weight.shape[1:])
        places = x.numel() // site.weight.shape[1]
        dense = places * (1 if site.exact(x) else 3) + BUILDING
        return 3 * places * self.rank**2 * (out + inner) < dense * out * inner

    def _first(self, drops: Dropout) -> Tensor:
        """w1_a without the ranks that are left out."""
        first = self.hada_w1_a
        kept = drops.ranks(first if self.hada_t1 is None else first.mT)
        return first if kept is None else first * (kept if self.hada_t1 is None else kept[:, None])

    def _factors(self, site: BaseLayer, scale: float, drops: Dropout) -> tuple[Tensor, Tensor]:
        """(out, r²) with the scale, and (r², in, …)."""
        up = ((scale * self._first(drops))[:, :, None] * self.hada_w2_a[:, None, :]).flatten(1)
        down = (self.hada_w1_b[:, None] * self.hada_w2_b[None]).flatten(0, 1)
        return up, down.unflatten(1, site.weight.shape[1:])

    def _delta(self, site: BaseLayer, drops: Dropout) -> Tensor:
        first = self._first(drops)
        if self.hada_t1 is not None and self.hada_t2 is not None:
            one = core(self.hada_t1, first.mT, self.hada_w1_b)
            return self.scale * one * core(self.hada_t2, self.hada_w2_a.mT, self.hada_w2_b)
        with in_full(first):
            both = ((self.scale * first) @ self.hada_w1_b) * (self.hada_w2_a @ self.hada_w2_b)
        whole: Tensor = both.unflatten(1, site.weight.shape[1:])
        return whole

    def _decomposed(self, site: BaseLayer, delta: Tensor) -> Tensor:
        return delta if self.dora_scale is None else decomposed(site.whole(), delta, self.dora_scale)

    def delta(self, site: BaseLayer) -> tuple[Tensor, Tensor | None]:
        return self._decomposed(site, self._delta(site, Dropout(""))), None

    def norm(self, site: BaseLayer) -> Tensor:
        if self.hada_t1 is not None or self.rank**2 > min(self.hada_w1_a.shape[0], self.hada_w1_b.shape[1]):
            norm: Tensor = self._delta(site, Dropout("")).norm()
            return norm
        return product_norm(*self._factors(site, self.scale, Dropout("")))

    def shrink(self, ratio: Tensor) -> None:
        root = ratio.sqrt()
        self.hada_w1_a.mul_(root)
        self.hada_w2_a.mul_(root)
