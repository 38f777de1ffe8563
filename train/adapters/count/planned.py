"""What an adapter will hang on, told from the names and shapes of the base model's weights; no torch here."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from pipeline.core.errors import PrepError
from train.adapters.config import AdapterConfig
from train.adapters.count.sizes import butterfly, scaled, trained_numbers
from train.adapters.count.summary import Module, ParameterSummary, acting, figures_of
from train.adapters.names.blocks import BASE, by_block
from train.adapters.names.layers import LayerPath, block_of
from train.models.families.key_map import Blocks

if TYPE_CHECKING:
    from train.models.shapes import BaseShapes

TRANSFORMER = re.compile(r"(^|\.)attentions\.\d+\.")
CONVOLUTIONAL = re.compile(r"(^|\.)(resnets|downsamplers|upsamplers)\.\d+\.")
TEXT = re.compile(r"\.(self_attn|mlp)\.")
SCALED_OUTPUTS = (".to_k", ".to_v", ".k_proj", ".v_proj")
SCALED_INPUTS = (".ff.net.2", ".mlp.fc2")
"""Layers whose outputs, and whose inputs, (IA)³ scales: keys, values, and what goes into the second layer of each
feed-forward network (Liu et al. 2022, arXiv:2205.05638)."""


@dataclass(frozen=True, slots=True)
class Layer:
    """A layer of the base model: the path of its weight without `.weight`, the weight's shape and whether it has a bias;
    `part` is where files have it, such as te1, and `block` such as IN04."""

    path: str
    weight: tuple[int, ...]
    bias: bool
    part: str
    block: str

    @property
    def norm(self) -> bool:
        return len(self.weight) == 1

    @property
    def large(self) -> bool:
        return math.prod(self.weight[2:]) > 1


def planned_figures(base: BaseShapes, shape: AdapterConfig) -> tuple[ParameterSummary, ...]:
    """The figures of the adapter that a run with this shape will hang on the base model.

    Raises:
        PrepError: it would train nothing; a block is named that it has not; or the algorithm cannot divide a layer.
    """
    wanted = [*_of_unet(base, shape), *_of_text(base, shape)]
    present = {layer.block for layer in wanted}
    shares = by_block(shape.blocks, present, "blocks")
    ranks = by_block(shape.block_ranks, present, "block_ranks")
    alphas = by_block(shape.block_alphas, present, "block_alphas")
    layers = [layer for layer in wanted if shares.get(layer.block, 1.0)]
    if not layers:
        raise nothing_to_train()
    return figures_of(_module(layer, shape, ranks.get(layer.block), alphas.get(layer.block)) for layer in layers)


def nothing_to_train() -> PrepError:
    return PrepError(
        "train: the adapter would hang on no layer of the base model, so there is nothing to train",
        "give at least one block a share above 0, or use a Stable Diffusion 1.x, 2.x or XL model",
    )


def _of_unet(base: BaseShapes, shape: AdapterConfig) -> Iterator[Layer]:
    blocks = blocks_in(base.unet)
    rules = (TRANSFORMER, CONVOLUTIONAL) if shape.convolutions else (TRANSFORMER,)
    for path, weight, bias in _layers(base.unet):
        if any(rule.search(path) for rule in rules):
            layer = Layer(path, weight, bias, "unet", block_of(LayerPath("unet", path, "diffusers"), blocks))
            if shape.train_norm or shape.algorithm == "norm" if layer.norm else _takes(shape, path):
                yield layer


def _of_text(base: BaseShapes, shape: AdapterConfig) -> Iterator[Layer]:
    parts = sorted({name.partition(".")[0] for name in base.text})
    for path, weight, bias in _layers(base.text) if shape.text_encoder else ():
        if TEXT.search(path) and len(weight) == 2 and _takes(shape, path):
            number = parts.index(path.partition(".")[0]) + 1
            yield Layer(path, weight, bias, f"te{number}" if len(parts) > 1 else "te", BASE)


def _layers(shapes: Mapping[str, tuple[int, ...]]) -> Iterator[tuple[str, tuple[int, ...], bool]]:
    for name, weight in shapes.items():
        if name.endswith(".weight"):
            path = name.removesuffix(".weight")
            yield path, weight, f"{path}.bias" in shapes


def _takes(shape: AdapterConfig, path: str) -> bool:
    return shape.algorithm != "norm" and (
        shape.algorithm != "ia3" or path.endswith(SCALED_INPUTS) or path.endswith(SCALED_OUTPUTS)
    )


def _module(layer: Layer, shape: AdapterConfig, rank: int | None, alpha: float | None) -> Module:
    if layer.norm:
        return Module(layer.part, False, layer.weight[0] * (2 if layer.bias else 1), None)
    large = layer.large and shape.conv_rank
    rank = rank or (shape.conv_rank if large else shape.rank)
    alpha = (shape.conv_alpha if large else shape.alpha) if alpha is None else alpha
    if shape.algorithm == "boft" and not all(butterfly(layer.weight[0], rank)):
        raise PrepError(
            f"boft cannot hang on {layer.path}: it cannot divide {layer.weight[0]} outputs into blocks of up to {rank}",
            "use another rank, or the algorithm oft",
        )
    kronecker: dict[str, Any] = {
        "factor": shape.factor,
        "decompose_both": shape.decompose_both,
        "full_matrix": shape.full_matrix,
    }
    numbers = trained_numbers(shape.algorithm, layer.weight, rank, tucker=shape.tucker, dora=shape.dora, **kronecker)
    if shape.algorithm == "full":
        numbers += layer.weight[0] if layer.bias else 0
    if shape.algorithm == "ia3" and layer.path.endswith(SCALED_INPUTS):
        numbers = layer.weight[1]
    alpha = alpha * math.sqrt(rank) if shape.rank_stabilized else alpha
    has_scale = scaled(shape.algorithm, layer.weight, rank, **kronecker)
    return Module(layer.part, layer.large, numbers, acting(alpha, rank) if has_scale else None)


def blocks_in(unet: Mapping[str, tuple[int, ...]]) -> Blocks:
    """How a UNet is built, from the names of its weights."""
    layers = {name.split(".")[3] for name in unet if name.startswith("down_blocks.0.resnets.")}
    ups = {int(name.split(".")[1]) for name in unet if name.startswith("up_blocks.")}
    attend = {int(name.split(".")[1]) for name in unet if re.match(r"up_blocks\.\d+\.attentions\.", name)}
    return Blocks(len(layers), frozenset(ups - attend))
