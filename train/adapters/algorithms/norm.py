"""Trained changes of a normalization layer's own weight and bias."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from train.adapters.algebra.lazy_torch import torch
from train.adapters.algebra.norms import norm_of
from train.adapters.algebra.products import in_full
from train.adapters.algorithms import options
from train.adapters.algorithms.algorithm import Algorithm, Conflict, LayerKind, Tensors
from train.adapters.algorithms.keys import Keys, Shape
from train.adapters.config import AdapterConfig, LayerConfig

if TYPE_CHECKING:
    from torch import Tensor, nn

    from train.adapters.inject.base_layer import BaseLayer
    from train.adapters.inject.dropout import Dropout

NAME = "norm"
WEIGHT, BIAS = "w_norm", "b_norm"


class Norm:
    """w_norm and b_norm (channels,)."""

    rank, scale = 0, 1.0

    def __init__(self, tensors: Tensors) -> None:
        self.tensors = tensors

    @staticmethod
    def parameters(weight: Shape, bias: bool, config: LayerConfig) -> int:
        return weight[0] * (2 if bias else 1)

    @staticmethod
    def scaled(weight: Shape, config: LayerConfig) -> bool:
        return False

    @staticmethod
    def initial_weights(name: str, layer: nn.Module, config: LayerConfig) -> dict[str, Tensor]:
        weight: Tensor = layer.weight  # type: ignore[assignment]
        found = {WEIGHT: torch.zeros(weight.shape)}
        return found if layer.bias is None else found | {BIAS: torch.zeros(weight.shape)}

    @staticmethod
    def constants(tensors: Tensors) -> dict[str, Tensor]:
        return {}

    def output(self, base_layer: BaseLayer, x: Tensor, strength: float, dropout: Dropout) -> Tensor:
        """In float32, which these layers take under autocast too; the result as the layer would give it."""
        functional, layer, change = torch.nn.functional, base_layer.layer, self.tensors.get(BIAS)
        with in_full(x):
            weight = base_layer.weight.float() + strength * self.tensors[WEIGHT]
            bias = None if base_layer.bias is None else base_layer.bias.float()
            if change is not None:
                bias = strength * change if bias is None else bias + strength * change
            if isinstance(layer, torch.nn.GroupNorm):
                y = functional.group_norm(x.float(), layer.num_groups, weight, bias, layer.eps)
            else:
                y = functional.layer_norm(x.float(), layer.normalized_shape, weight, bias, layer.eps)  # type: ignore[arg-type]
        return y if torch.is_autocast_enabled(x.device.type) else y.to(x.dtype)

    # --- in files

    def delta(self, weight: Tensor | None) -> Tensor:
        found = self.tensors.get(WEIGHT)
        return torch.zeros_like(self.tensors[BIAS]) if found is None else found

    def norm(self, weight: Tensor | None) -> Tensor:
        """Of both halves together."""
        halves = [half.flatten() for key in (WEIGHT, BIAS) if (half := self.tensors.get(key)) is not None]
        return norm_of(torch.cat(halves))

    def factors(self, weight: Tensor | None) -> None:
        return None

    def incompatibility(self, client: str) -> str:
        if client == "a1111" and not (WEIGHT in self.tensors and BIAS in self.tensors):
            return f"a norm needs both {WEIGHT} and {BIAS}"
        return ""


def _rebuilt(tensors: Tensors) -> dict[str, Tensor]:
    """With the half that is missing as zeros."""
    known = next(half for key in (WEIGHT, BIAS) if (half := tensors.get(key)) is not None)
    halves = {key: tensors.get(key) for key in (WEIGHT, BIAS)}
    return {key: torch.zeros(known.shape) if half is None else half for key, half in halves.items()}


def _conflicts(config: AdapterConfig) -> Iterator[Conflict]:
    if config.text_encoder:
        yield (
            "train_text_encoder is true, but readers of the file leave out changed norms of text encoders",
            "leave train_text_encoder out, or use another algorithm",
        )


LAYERS = LayerKind(
    name=NAME,
    layer=Norm,
    keys=Keys(optional=(WEIGHT, BIAS, "alpha"), marks=(WEIGHT, BIAS), bias=BIAS),
    low_rank=False,
    of_norms=True,
    rebuilt=_rebuilt,
)
NORM = Algorithm(
    name=NAME,
    lycoris_name=NAME,
    trained=Norm,
    stored=LAYERS,
    takes=frozenset(),
    lacks={
        **options.NO_RANK,
        **options.NOT_LOW_RANK,
        **options.NO_FACTORS,
        "network_dropout": "has no neurons between",
        "train_norm": "trains them anyway",
    },
    text_encoder=False,
    adapts=lambda path: False,
    conflicts=_conflicts,
)
