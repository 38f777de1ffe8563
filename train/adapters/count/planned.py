"""What an adapter will be attached to, inferred from the names and shapes of the base model's weights; no torch here."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from pipeline.core.errors import PrepError
from train.adapters.algorithms.algorithm import Algorithm
from train.adapters.config import AdapterConfig, layer_config
from train.adapters.count.summary import Module, ParameterSummary, acting, figures_of
from train.adapters.names.blocks import BASE, by_block
from train.adapters.names.kohya_names import LayerPath, block_of
from train.adapters.registry import ALGORITHMS, FOR_NORMS
from train.models.families.key_map import Blocks

if TYPE_CHECKING:
    from train.models.shapes import BaseShapes

TRANSFORMER = re.compile(r"(^|\.)attentions\.\d+\.")
CONVOLUTIONAL = re.compile(r"(^|\.)(resnets|downsamplers|upsamplers)\.\d+\.")
TEXT = re.compile(r"\.(self_attn|mlp)\.")


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


def planned_figures(base: BaseShapes, config: AdapterConfig) -> tuple[ParameterSummary, ...]:
    """The figures of the adapter that a run will attach to the base model.

    Raises:
        PrepError: it would train nothing; a block is named that it has not; or the algorithm cannot divide a layer.
    """
    algorithm = ALGORITHMS[config.algorithm]
    wanted = [*_of_unet(base, config, algorithm), *_of_text(base, config, algorithm)]
    wanted = [layer for layer in wanted if layer.part not in config.left_out]
    present = {layer.block for layer in wanted}
    shares = by_block(config.blocks, present, "blocks")
    ranks = by_block(config.block_ranks, present, "block_ranks")
    alphas = by_block(config.block_alphas, present, "block_alphas")
    layers = [layer for layer in wanted if shares.get(layer.block, 1.0)]
    if not layers:
        raise nothing_to_train()
    return figures_of(_module(layer, config, ranks.get(layer.block), alphas.get(layer.block)) for layer in layers)


def wider_than_layers(base: BaseShapes, config: AdapterConfig) -> tuple[int, int]:
    """(layers whose smaller side is below the rank that they would get, the smallest such side); (0, 0) where there is
    none, or where the algorithm's rank is no bound of a product of two matrices."""
    algorithm, narrow = ALGORITHMS[config.algorithm], list[int]()
    if algorithm.rank_is_bound:
        for layer in (*_of_unet(base, config, algorithm), *_of_text(base, config, algorithm)):
            if not layer.norm and layer.part not in config.left_out:
                side = min(layer.weight[0], math.prod(layer.weight[1:]))
                rank = config.block_ranks.get(layer.block)
                if layer_config(config, layer.path, large=layer.large, rank=rank).rank > side:
                    narrow.append(side)
    return len(narrow), min(narrow, default=0)


def nothing_to_train() -> PrepError:
    return PrepError(
        "train: the adapter would be attached to no layer of the base model, so there is nothing to train",
        "give at least one block a share above 0, or use a Stable Diffusion 1.x, 2.x or XL model",
    )


def not_divisible(algorithm: Algorithm, layer: str, error: ValueError) -> PrepError:
    return PrepError(f"{algorithm.name} cannot be attached to {layer}: {error}", "use another rank or algorithm")


def _of_unet(base: BaseShapes, config: AdapterConfig, algorithm: Algorithm) -> Iterator[Layer]:
    blocks = blocks_in(base.unet)
    rules = (TRANSFORMER, CONVOLUTIONAL) if config.convolutions else (TRANSFORMER,)
    norms = config.train_norm or algorithm is FOR_NORMS
    for path, weight, bias in _layers(base.unet):
        if any(rule.search(path) for rule in rules):
            layer = Layer(path, weight, bias, "unet", block_of(LayerPath("unet", path, "diffusers"), blocks))
            if norms if layer.norm else algorithm.adapts(path):
                yield layer


def _of_text(base: BaseShapes, config: AdapterConfig, algorithm: Algorithm) -> Iterator[Layer]:
    parts = sorted({name.partition(".")[0] for name in base.text})
    for path, weight, bias in _layers(base.text) if config.text_encoder else ():
        if TEXT.search(path) and len(weight) == 2 and algorithm.adapts(path):
            number = parts.index(path.partition(".")[0]) + 1
            yield Layer(path, weight, bias, f"te{number}" if len(parts) > 1 else "te", BASE)


def _layers(shapes: Mapping[str, tuple[int, ...]]) -> Iterator[tuple[str, tuple[int, ...], bool]]:
    for name, weight in shapes.items():
        if name.endswith(".weight"):
            path = name.removesuffix(".weight")
            yield path, weight, f"{path}.bias" in shapes


def _module(layer: Layer, config: AdapterConfig, rank: int | None, alpha: float | None) -> Module:
    algorithm = FOR_NORMS if layer.norm else ALGORITHMS[config.algorithm]
    own = layer_config(config, layer.path, large=layer.large, rank=rank, alpha=alpha)
    try:
        parameters = algorithm.trained.parameters(layer.weight, layer.bias, own)
    except ValueError as error:
        raise not_divisible(algorithm, layer.path, error) from error
    scaled = algorithm.trained.scaled(layer.weight, own)
    return Module(layer.part, layer.large, parameters, acting(own.stored_alpha, own.rank) if scaled else None)


def blocks_in(unet: Mapping[str, tuple[int, ...]]) -> Blocks:
    """How a UNet is built, from the names of its weights."""
    layers = {name.split(".")[3] for name in unet if name.startswith("down_blocks.0.resnets.")}
    ups = {int(name.split(".")[1]) for name in unet if name.startswith("up_blocks.")}
    attend = {int(name.split(".")[1]) for name in unet if re.match(r"up_blocks\.\d+\.attentions\.", name)}
    return Blocks(len(layers), frozenset(ups - attend))
