"""The full-rank difference: ΔW itself is trained, and the bias's with it."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from train.adapters.algebra.dense import dense_output
from train.adapters.algebra.lazy_torch import torch
from train.adapters.algebra.norms import norm_of
from train.adapters.algorithms import options
from train.adapters.algorithms.algorithm import Algorithm, LayerKind, Tensors
from train.adapters.algorithms.keys import Keys, Shape, side
from train.adapters.config import LayerConfig

if TYPE_CHECKING:
    from torch import Tensor, nn

    from train.adapters.inject.base_layer import BaseLayer
    from train.adapters.inject.dropout import Dropout

NAME = "full"
DIFF, BIAS = "diff", "diff_b"


class Full:
    """diff of the weight's shape, diff_b of the bias's."""

    rank, scale = 0, 1.0

    def __init__(self, tensors: Tensors) -> None:
        self.tensors = tensors

    @staticmethod
    def parameters(weight: Shape, bias: bool, config: LayerConfig) -> int:
        return math.prod(weight) + (weight[0] if bias else 0)

    @staticmethod
    def scaled(weight: Shape, config: LayerConfig) -> bool:
        return False

    @staticmethod
    def initial_weights(name: str, layer: nn.Module, config: LayerConfig) -> dict[str, Tensor]:
        weight: Tensor = layer.weight  # type: ignore[assignment]
        found = {DIFF: torch.zeros(weight.shape)}
        return found if layer.bias is None else found | {BIAS: torch.zeros(weight.shape[0])}

    @staticmethod
    def constants(tensors: Tensors) -> dict[str, Tensor]:
        return {}

    def output(self, base_layer: BaseLayer, x: Tensor, strength: float, dropout: Dropout) -> Tensor:
        return dense_output(base_layer, x, self.tensors[DIFF], strength, dropout, self.tensors.get(BIAS))

    def norm(self, weight: Tensor | None) -> Tensor:
        return norm_of(self.tensors[DIFF])

    def shrink(self, ratio: Tensor) -> None:
        self.tensors[DIFF].mul_(ratio)

    # --- in files

    def delta(self, weight: Tensor | None) -> Tensor:
        return self.tensors[DIFF]

    def factors(self, weight: Tensor | None) -> None:
        return None

    def incompatibility(self, client: str) -> str:
        return ""


def full_tensors(delta: Tensor, bias: Tensor | None) -> dict[str, Tensor]:
    """The tensors of a layer with that difference and, if any, that change of its bias."""
    return {DIFF: delta} if bias is None else {DIFF: delta, BIAS: bias}


LAYERS = LayerKind(
    name=NAME,
    layer=Full,
    keys=Keys(required=(DIFF,), optional=(BIAS, "alpha"), marks=(DIFF, BIAS), bias=BIAS),
    low_rank=False,
    inputs=lambda shapes: side(shapes, DIFF, 1),
    kernel=lambda shapes: shapes[DIFF][2:] if DIFF in shapes else None,
)
FULL = Algorithm(
    name=NAME,
    lycoris_name=NAME,
    trained=Full,
    stored=LAYERS,
    takes=options.CHANGES | {"scale_weight_norms"},
    lacks=options.NO_RANK | options.NOT_LOW_RANK,
    learning_rate=2.5e-6,  # Roukin8-character FullCkpt (CivArchive)
)
