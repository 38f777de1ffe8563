"""LoHa: ΔW = alpha / r · (w1_a·w1_b) ∘ (w2_a·w2_b), a Hadamard product of two low-rank ones (FedPara, Hyeon-Woo et al.
2021, arXiv:2108.06098; LyCORIS, Yeh et al. 2023, arXiv:2309.14859).

The same matrix is a product of rank r²: the row-wise Khatri-Rao product of w1_a and w2_a times the column-wise one of w1_b
and w2_b. Where that chain is shorter than building ΔW, it is taken.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from train.adapters.algebra.alpha import alpha_constant, alpha_scale
from train.adapters.algebra.dense import dense_output
from train.adapters.algebra.dora import (
    decomposed,
    decomposed_output,
    dora_incompatibility,
    magnitude_axis,
    product_gain,
)
from train.adapters.algebra.factors import Factors
from train.adapters.algebra.lazy_torch import torch
from train.adapters.algebra.lycoris import lycoris_module, weights_of
from train.adapters.algebra.norms import norm_of, product_norm
from train.adapters.algebra.products import core, in_full, with_core
from train.adapters.algorithms import options
from train.adapters.algorithms.algorithm import Algorithm, LayerKind, Tensors
from train.adapters.algorithms.keys import Keys, Shape, Shapes, side
from train.adapters.algorithms.lora import chain
from train.adapters.config import LayerConfig

if TYPE_CHECKING:
    from torch import Tensor, nn

    from train.adapters.inject.base_layer import BaseLayer
    from train.adapters.inject.dropout import Dropout

NAME = "loha"
W1_A, W1_B, W2_A, W2_B = "hada_w1_a", "hada_w1_b", "hada_w2_a", "hada_w2_b"
T1, T2 = "hada_t1", "hada_t2"
BUILDING = 300
"""What building one number of ΔW and its gradients costs, in multiplications of a matrix product."""


class Loha:
    """w1_a, w2_a (out, r) and w1_b, w2_b (r, in·k·k); Tucker-decomposed (r, out), (r, in) and cores t1, t2 (r, r, k, k)."""

    def __init__(self, tensors: Tensors) -> None:
        self.tensors, self.tucker = tensors, T1 in tensors
        self.rank = tensors[W1_B].shape[0]
        self.scale = alpha_scale(tensors.get("alpha"), self.rank)

    @staticmethod
    def parameters(weight: Shape, bias: bool, config: LayerConfig) -> int:
        return 2 * chain(weight, config) + (weight[1] if config.dora else 0)

    @staticmethod
    def scaled(weight: Shape, config: LayerConfig) -> bool:
        return True

    @staticmethod
    def library_module(name: str, layer: nn.Module, config: LayerConfig) -> nn.Module:
        return lycoris_module("loha.LohaModule", name, layer, config)

    @classmethod
    def initial_weights(cls, name: str, layer: nn.Module, config: LayerConfig) -> dict[str, Tensor]:
        return weights_of(cls.library_module(name, layer, config))

    @staticmethod
    def constants(tensors: Tensors) -> dict[str, Tensor]:
        return alpha_constant(tensors.get("alpha"), tensors[W1_B].shape[0])

    def output(self, base_layer: BaseLayer, x: Tensor, strength: float, dropout: Dropout) -> Tensor:
        magnitude, shape = self.tensors.get("dora_scale"), base_layer.shape
        if not self._chained(base_layer, x):
            delta = self._delta(self._first(dropout))
            delta = delta if self.tucker else delta.unflatten(1, shape[1:])
            delta = delta if magnitude is None else decomposed(base_layer.whole(), delta, magnitude)
            return dense_output(base_layer, x, delta, strength, dropout)
        scale = self.scale if magnitude is not None else self.scale * strength
        up, down = self._chain(self._first(dropout), scale)
        down = down.unflatten(1, shape[1:])

        def change(x: Tensor) -> Tensor:
            return base_layer.pointwise(dropout.neurons(base_layer.apply(x, down)), up)

        if magnitude is None:
            return base_layer.plus(x, change(x))
        return decomposed_output(base_layer, x, product_gain(base_layer, magnitude, up, down), change, strength)

    def _chained(self, base_layer: BaseLayer, x: Tensor) -> bool:
        """Whether three products with the factors (forward, to the input, to the factors) are less than building ΔW and the
        one more product with it, or three in half precision."""
        if self.tucker:
            return False
        out, inner = base_layer.shape[0], math.prod(base_layer.shape[1:])
        positions = x.numel() // base_layer.shape[1]
        dense = positions * (1 if base_layer.exact(x) else 3) + BUILDING
        return 3 * positions * self.rank**2 * (out + inner) < dense * out * inner

    def _first(self, dropout: Dropout) -> Tensor:
        """w1_a without the ranks that are left out."""
        first = self.tensors[W1_A]
        kept = dropout.ranks(first.mT if self.tucker else first)
        return first if kept is None else first * (kept[:, None] if self.tucker else kept)

    def _chain(self, first: Tensor, scale: float) -> tuple[Tensor, Tensor]:
        """(out, r²) with the scale, and (r², in·k·k)."""
        up = ((scale * first)[:, :, None] * self.tensors[W2_A][:, None, :]).flatten(1)
        return up, (self.tensors[W1_B][:, None] * self.tensors[W2_B][None]).flatten(0, 1)

    def _delta(self, first: Tensor) -> Tensor:
        """(out, in·k·k), or (out, in, k, k) of Tucker-decomposed ones."""
        w1_b, w2_a, w2_b = self.tensors[W1_B], self.tensors[W2_A], self.tensors[W2_B]
        if self.tucker:
            return self.scale * core(self.tensors[T1], first.mT, w1_b) * core(self.tensors[T2], w2_a.mT, w2_b)
        with in_full(first):
            return ((self.scale * first) @ w1_b) * (w2_a @ w2_b)

    def norm(self, weight: Tensor | None) -> Tensor:
        first = self.tensors[W1_A]
        if self.tucker or self.rank**2 > min(first.shape[0], self.tensors[W1_B].shape[1]):
            return norm_of(self._delta(first))
        return product_norm(*self._chain(first, self.scale))

    def shrink(self, ratio: Tensor) -> None:
        root = ratio.sqrt()
        self.tensors[W1_A].mul_(root)
        self.tensors[W2_A].mul_(root)

    # --- in files

    def delta(self, weight: Tensor | None) -> Tensor:
        (one, two), (three, four) = self._pair(W1_A, W1_B, T1), self._pair(W2_A, W2_B, T2)
        return torch.full((), self.scale, dtype=one.dtype, device=one.device) * (one @ two) * (three @ four)

    def factors(self, weight: Tensor | None) -> Factors:
        """Of rank r²: Khatri-Rao products of both pairs."""
        (one, two), (three, four) = self._pair(W1_A, W1_B, T1), self._pair(W2_A, W2_B, T2)
        up = torch.einsum("or,os->ors", one, three).flatten(1)
        return Factors(up * self.scale, torch.einsum("ri,si->rsi", two, four).flatten(0, 1))

    def _pair(self, first: str, second: str, middle: str) -> tuple[Tensor, Tensor]:
        """(O, R) and (R, I·K), a core multiplied into the second."""
        one, other, between = self.tensors[first], self.tensors[second], self.tensors.get(middle)
        if between is None:
            return one.flatten(1), other.flatten(1)
        return one.T, with_core(between, other)

    def incompatibility(self, client: str) -> str:
        magnitude = self.tensors.get("dora_scale")
        return dora_incompatibility(client, None if magnitude is None else magnitude_axis(tuple(magnitude.shape)))


def _elements(shapes: Shapes) -> int:
    if T1 in shapes:
        return side(shapes, W1_A, 1) * side(shapes, W1_B, 1) * math.prod(shapes[T1][2:])
    return side(shapes, W1_A) * math.prod(shapes.get(W1_B, ())[1:])


KEYS = Keys(
    required=(W1_A, W1_B, W2_A, W2_B),
    optional=(T1, T2, "dora_scale", "alpha"),
    marks=(W1_A,),
    core=(T1,),
    rank=((W1_B, 0),),
    pairs=((W1_A, 1, W1_B, 0), (W2_A, 1, W2_B, 0), (W1_B, 1, W2_B, 1)),
    core_pairs=((W1_A, 0, T1, 0), (W1_B, 0, T1, 1), (W2_A, 0, T2, 0), (W2_B, 0, T2, 1)),
)
LAYERS = LayerKind(
    name=NAME,
    layer=Loha,
    keys=KEYS,
    elements=_elements,
    inputs=lambda shapes: side(shapes, W1_B, 1),
    kernel=lambda shapes: shapes[T1][2:] if T1 in shapes else None,
)
LOHA = Algorithm(
    name=NAME,
    lycoris_name=NAME,
    trained=Loha,
    stored=LAYERS,
    takes=options.LOW_RANK | {"dora", "tucker", "rank_dropout"},
    learning_rate=2e-4,  # alea31415's LyCORIS experiments (Hugging Face), Roukin8-character LoHa/LoCon (CivArchive)
)
