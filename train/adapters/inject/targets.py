"""Which layers of a base model an adapter is attached to, and what files call them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from torch import nn

from train.adapters.algorithms.algorithm import Algorithm
from train.adapters.config import AdapterConfig
from train.adapters.names.blocks import BASE
from train.adapters.names.kohya_names import LayerPath, block_of, text_name, unet_name
from train.adapters.registry import ALGORITHMS, FOR_NORMS
from train.models.families.key_map import blocks_of
from train.models.families.registry import family_of_config

TRANSFORMER = ("Transformer2DModel",)
CONVOLUTIONAL = ("ResnetBlock2D", "Downsample2D", "Upsample2D")
TEXT = ("CLIPAttention", "CLIPMLP")


@dataclass(frozen=True, slots=True)
class Target:
    """A layer, its name in files, its path in the UNet or the text encoder, its block, and the algorithm for it."""

    name: str
    path: str
    layer: nn.Module
    block: str
    algorithm: Algorithm

    @property
    def large(self) -> bool:
        return isinstance(self.layer, nn.Conv2d) and self.layer.kernel_size != (1, 1)


def targets(root: nn.Module, classes: tuple[str, ...], norms: bool = False) -> Iterator[tuple[str, nn.Module]]:
    """(path, layer) of every Linear and Conv2d, or of every normalization, inside a module of one of the classes, each
    once, in order of path."""
    kinds = (nn.LayerNorm, nn.GroupNorm) if norms else (nn.Linear, nn.Conv2d)
    seen: dict[str, nn.Module] = {}
    for path, module in root.named_modules():
        if type(module).__name__ in classes:
            for inner, layer in module.named_modules(prefix=path):
                if isinstance(layer, kinds) and getattr(layer, "weight", None) is not None:
                    seen[inner] = layer
    yield from seen.items()


def targets_of(config: AdapterConfig, unet: nn.Module, text_encoders: tuple[nn.Module, ...]) -> Iterator[Target]:
    """Every layer that an adapter is attached to, the UNet's first."""
    algorithm = ALGORITHMS[config.algorithm]
    classes = TRANSFORMER + (CONVOLUTIONAL if config.convolutions else ())
    for path, layer in targets(unet, classes):
        if algorithm.adapts(path):
            name, block = name_and_block(path, unet)
            yield Target(name, path, layer, block, algorithm)
    if config.train_norm or algorithm is FOR_NORMS:
        for path, layer in targets(unet, classes, norms=True):
            name, block = name_and_block(path, unet)
            yield Target(name, path, layer, block, FOR_NORMS)
    if config.text_encoder:
        for number, encoder in numbered(text_encoders):
            for path, layer in targets(encoder, TEXT):
                if algorithm.adapts(path):
                    yield Target(text_name(path, number), path, layer, BASE, algorithm)


def name_and_block(path: str, unet: nn.Module) -> tuple[str, str]:
    """What files call the UNet's layer at a path, and the block it is in."""
    config: Any = unet.config
    blocks = blocks_of(config)
    name = unet_name(path, ldm=family_of_config(config).name == "sdxl", blocks=blocks)
    return name, block_of(LayerPath("unet", path, "diffusers"), blocks)


def numbered(text_encoders: tuple[nn.Module, ...]) -> list[tuple[int, nn.Module]]:
    """Text encoders as files count them: 1 and 2, or 0 where there is only one."""
    return list(enumerate(text_encoders, 1)) if len(text_encoders) > 1 else [(0, encoder) for encoder in text_encoders]


def every_layer(unet: nn.Module, text_encoders: tuple[nn.Module, ...]) -> dict[str, tuple[nn.Module, str]]:
    """Name in files → layer and block, of all that a file might change."""
    kinds = (nn.Linear, nn.Conv2d, nn.LayerNorm, nn.GroupNorm)
    found: dict[str, tuple[nn.Module, str]] = {}
    for path, layer in unet.named_modules():
        if isinstance(layer, kinds):
            name, block = name_and_block(path, unet)
            found[name] = layer, block
    for number, encoder in numbered(text_encoders):
        found |= {
            text_name(path, number): (layer, BASE)
            for path, layer in encoder.named_modules()
            if isinstance(layer, kinds)
        }
    return found
