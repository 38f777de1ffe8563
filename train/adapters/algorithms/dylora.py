"""DyLoRA (Valipour et al. 2022, arXiv:2210.07558), experimental: a LoRA that is good at every rank, not only at its whole
one.

Each step draws a rank b, a multiple of the unit, for all layers: the first b ranks act, with alpha / b, and the last unit
of them learns, as in kohya-ss/sd-scripts. A file cut to its first b ranks, its alpha left, is then read as it was trained.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Iterator, Mapping
from typing import TYPE_CHECKING, Any

from train.adapters.algebra.lazy_torch import torch
from train.adapters.algorithms import options
from train.adapters.algorithms.algorithm import Algorithm, Conflict, Tensors
from train.adapters.algorithms.keys import Shape, Shapes
from train.adapters.algorithms.lora import DOWN, LAYERS, UP, Lora
from train.adapters.config import AdapterConfig, LayerConfig

if TYPE_CHECKING:
    from torch import Tensor, nn

    from train.adapters.inject.base_layer import BaseLayer
    from train.adapters.inject.dropout import Dropout


class Dylora:
    """up (out, r, 1, 1) and down (r, in, k, k), saved as a LoRA's."""

    def __init__(self, tensors: Tensors) -> None:
        self.tensors, self.whole = tensors, Lora(tensors)
        self.rank = self.whole.rank
        self.alpha = float(tensors["alpha"]) if "alpha" in tensors else float(self.rank)

    @staticmethod
    def parameters(weight: Shape, bias: bool, config: LayerConfig) -> int:
        return Lora.parameters(weight, bias, config)

    @staticmethod
    def scaled(weight: Shape, config: LayerConfig) -> bool:
        return True

    @staticmethod
    def initial_weights(name: str, layer: nn.Module, config: LayerConfig) -> dict[str, Tensor]:
        return Lora.initial_weights(name, layer, config)

    @staticmethod
    def constants(tensors: Tensors) -> dict[str, Tensor]:
        return Lora.constants(tensors)

    def output(self, base_layer: BaseLayer, x: Tensor, strength: float, dropout: Dropout) -> Tensor:
        up, down, used = self.tensors[UP].flatten(1), self.tensors[DOWN], self.rank
        block = dropout.block(self.rank)
        if block is not None:
            start, used = block
            down = torch.cat([down[:start].detach(), down[start:used]])
            up = torch.cat([up[:, :start].detach(), up[:, start:used]], 1)
        inner = dropout.neurons(base_layer.apply(x, down))
        return base_layer.plus(x, base_layer.pointwise(inner, up * (strength * self.alpha / used)))

    def norm(self, weight: Tensor | None) -> Tensor:
        return self.whole.norm(weight)

    def shrink(self, ratio: Tensor) -> None:
        self.whole.shrink(ratio)


def _conflicts(config: AdapterConfig) -> Iterator[Conflict]:
    if config.unit < 1:
        return
    for option, rank in (("rank", config.rank), ("conv_rank", config.conv_rank)):
        if rank % config.unit:
            yield (
                f"{option} is {rank}, no multiple of rank_unit, {config.unit}",
                f"set {option} = {-(-rank // config.unit) * config.unit}",
            )
    for name, rank in config.block_ranks.items():
        if rank % config.unit:
            yield f"block_ranks gives {name} {rank}, no multiple of rank_unit", "give a multiple of it"


def _detected(layers: Collection[Shapes], metadata: Mapping[str, str]) -> dict[str, Any]:
    """The unit as LyCORIS (`block_size`) and kohya-ss/sd-scripts (`unit`) note it; 4 where neither does."""
    try:
        arguments = json.loads(metadata.get("ss_network_args", "{}"))
        return {"unit": int(arguments.get("block_size") or arguments.get("unit") or 4)}
    except (ValueError, TypeError, AttributeError):
        return {"unit": 4}


DYLORA = Algorithm(
    name="dylora",
    lycoris_name="dylora",
    kohya_module="networks.dylora",
    trained=Dylora,
    stored=LAYERS,
    rank_is_bound=True,
    takes=options.LOW_RANK | {"rank_unit"},
    lacks=options.NO_MAGNITUDE | options.NO_CORE | options.NO_RANKS_TO_DROP,
    conflicts=_conflicts,
    rewritten_for=lambda client, config: False,
    network_args=lambda config: {"block_size": config.unit},
    metadata_only=True,
    detected=_detected,
)
