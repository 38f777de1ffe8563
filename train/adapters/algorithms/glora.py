"""GLoRA (Chavan et al. 2023, arXiv:2306.07967) as LyCORIS has it: ΔW = alpha / r · (W·a1·a2 + b1·b2)."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from train.adapters.algebra.alpha import alpha_constant, alpha_scale
from train.adapters.algebra.factors import Factors
from train.adapters.algebra.lazy_torch import torch
from train.adapters.algebra.lycoris import lycoris_module, weights_of
from train.adapters.algebra.norms import norm_of, product_norm
from train.adapters.algebra.products import in_full
from train.adapters.algorithms import options
from train.adapters.algorithms.algorithm import Algorithm, LayerKind, Tensors
from train.adapters.algorithms.keys import Keys, Shape, side
from train.adapters.config import LayerConfig

if TYPE_CHECKING:
    from torch import Tensor, nn

    from train.adapters.inject.base_layer import BaseLayer
    from train.adapters.inject.dropout import Dropout

NAME = "glora"
A1, A2, B1, B2 = "a1.weight", "a2.weight", "b1.weight", "b2.weight"


class Glora:
    """a1 (in, r), a2 (r, in), b1 (out, r) and b2 (r, in, k, k); all but the kernel of b2 with sides of 1."""

    def __init__(self, tensors: Tensors) -> None:
        self.tensors, self.rank = tensors, tensors[A2].shape[0]
        self.scale = alpha_scale(tensors.get("alpha"), self.rank)

    @staticmethod
    def parameters(weight: Shape, bias: bool, config: LayerConfig) -> int:
        out, inner, kernel = weight[0], weight[1], math.prod(weight[2:])
        return config.rank * (2 * inner + inner * kernel + out)

    @staticmethod
    def scaled(weight: Shape, config: LayerConfig) -> bool:
        return True

    @staticmethod
    def library_module(name: str, layer: nn.Module, config: LayerConfig) -> nn.Module:
        return lycoris_module("glora.GLoRAModule", name, layer, config)

    @classmethod
    def initial_weights(cls, name: str, layer: nn.Module, config: LayerConfig) -> dict[str, Tensor]:
        return weights_of(cls.library_module(name, layer, config))

    @staticmethod
    def constants(tensors: Tensors) -> dict[str, Tensor]:
        return alpha_constant(tensors.get("alpha"), tensors[A2].shape[0])

    def output(self, base_layer: BaseLayer, x: Tensor, strength: float, dropout: Dropout) -> Tensor:
        """On activations, as W·a1·a2·x is the layer on another input; a 1 × 1 step goes before zero padding as well as
        after it."""
        inner = base_layer.pointwise(x, self.tensors[A2].flatten(1))
        turned = base_layer.pointwise(dropout.neurons(inner, "a"), self._up(A1, strength, dropout, "a"))
        inner = base_layer.apply(x, self.tensors[B2])
        added = base_layer.pointwise(dropout.neurons(inner, "b"), self._up(B1, strength, dropout, "b"))
        if base_layer.takes(x):
            return base_layer.plus(x + turned, added)
        return base_layer.plus(x, base_layer.apply(turned, base_layer.weight) + added)

    def _up(self, key: str, strength: float, dropout: Dropout, what: str) -> Tensor:
        up, scale = self.tensors[key].flatten(1), self.scale * strength
        kept = dropout.ranks(up, what)
        return up * (scale if kept is None else scale * kept)

    def norm(self, weight: Tensor | None) -> Tensor:
        assert weight is not None, "the kind needs a base"
        whole, factors = weight.detach().float(), self.factors(weight)
        if factors is not None:
            return product_norm(factors.up, factors.down)
        a1, a2, b1, b2 = (self.tensors[key].flatten(1) for key in (A1, A2, B1, B2))
        with in_full(a1):
            turned = torch.einsum("oi...,ij->oj...", whole, a1 @ a2)
            return norm_of(self.scale * (turned + (b1 @ b2).view_as(turned)))

    def shrink(self, ratio: Tensor) -> None:
        root = ratio.sqrt()
        for key in (A1, A2, B1, B2):
            self.tensors[key].mul_(root)

    # --- in files

    def delta(self, weight: Tensor | None) -> Tensor:
        """W's kernel, if any, is untouched by the a."""
        assert weight is not None, "the kind needs a base"
        a1, a2, b1, b2 = (self.tensors[key].flatten(1) for key in (A1, A2, B1, B2))
        along = torch.einsum("oi...,ir,rj->oj...", weight, a1, a2)
        return (along + (b1 @ b2).reshape(weight.shape)) * self.scale

    def factors(self, weight: Tensor | None) -> Factors | None:
        """Of rank 2r on linear layers and 1×1 convolutions."""
        if weight is None or weight[0, 0].numel() > 1:
            return None
        a1, a2, b1, b2 = (self.tensors[key].flatten(1) for key in (A1, A2, B1, B2))
        up = torch.cat([weight.detach().float().flatten(1) @ a1, b1], 1)
        return Factors(up * self.scale, torch.cat([a2, b2]))

    def incompatibility(self, client: str) -> str:
        return "GLoRA is read in an older layout only" if client == "a1111" else ""


LAYERS = LayerKind(
    name=NAME,
    layer=Glora,
    keys=Keys(
        required=(A1, A2, B1, B2),
        optional=("alpha",),
        marks=(A1,),
        rank=((A2, 0),),
        pairs=((B1, 1, B2, 0), (A1, 1, A2, 0)),
    ),
    needs_base=True,
    inputs=lambda shapes: side(shapes, A2, 1),
)
GLORA = Algorithm(
    name=NAME,
    lycoris_name=NAME,
    trained=Glora,
    stored=LAYERS,
    rank_is_bound=True,
    takes=options.LOW_RANK | {"rank_dropout"},
    lacks=options.NO_MAGNITUDE | options.NO_CORE,
    rewritten_for=lambda client, config: client in ("a1111", "diffusers"),
)
