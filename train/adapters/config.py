"""What kind of adapter, in plain values: the whole of it, and one layer of it."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True, kw_only=True)
class AdapterConfig:
    """What kind of adapter: `rank` and `alpha` for linear layers and 1×1 convolutions, the `conv_` pair for larger ones;
    a `conv_rank` of 0 takes `rank` and `alpha` for all.

    `convolutions` adapts the UNet's resnet, down- and upsampling layers too; `text_encoder` the text models; `train_norm`
    the normalization layers between. `factor`, `decompose_both` and `full_matrix` are for Kronecker products, `unit` for
    nested ranks. The dropouts act in training only. `blocks` holds each named block's share of the learning rate, 0 leaving
    it out; `block_ranks` and `block_alphas` another rank and alpha for all of a block's layers. `left_out` are whole parts
    that are not adapted: unet, te, te1, te2.
    """

    algorithm: str
    rank: int
    alpha: float
    convolutions: bool = False
    conv_rank: int = 0
    conv_alpha: float = 1.0
    text_encoder: bool = False
    train_norm: bool = False
    factor: int = -1
    decompose_both: bool = False
    full_matrix: bool = False
    dora: bool = False
    rank_stabilized: bool = False
    tucker: bool = False
    unit: int = 4
    rank_dropout: float = 0.0
    module_dropout: float = 0.0
    network_dropout: float = 0.0
    blocks: Mapping[str, float] = field(default_factory=dict)
    block_ranks: Mapping[str, int] = field(default_factory=dict)
    block_alphas: Mapping[str, float] = field(default_factory=dict)
    left_out: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True, kw_only=True)
class LayerConfig:
    """What one layer's adapter is made with; `path` is the layer's in the base model, `alpha` as it was asked for."""

    path: str = ""
    rank: int = 1
    alpha: float = 1.0
    factor: int = -1
    decompose_both: bool = False
    full_matrix: bool = False
    dora: bool = False
    rank_stabilized: bool = False
    tucker: bool = False

    @property
    def stored_alpha(self) -> float:
        """The alpha that readers of the file divide by the rank: alpha / √rank is what they make of alpha · √rank."""
        return self.alpha * math.sqrt(self.rank) if self.rank_stabilized else self.alpha


def layer_config(
    config: AdapterConfig, path: str, *, large: bool, rank: int | None = None, alpha: float | None = None
) -> LayerConfig:
    """What the layer at a path of the base model is made with.

    Args:
        large: whether it is a convolution larger than 1×1.
        rank: its block's own, which counts before the adapter's; so does `alpha`.
    """
    usual = (config.conv_rank, config.conv_alpha) if large and config.conv_rank else (config.rank, config.alpha)
    return LayerConfig(
        path=path,
        rank=rank or usual[0],
        alpha=usual[1] if alpha is None else alpha,
        factor=config.factor,
        decompose_both=config.decompose_both,
        full_matrix=config.full_matrix,
        dora=config.dora,
        rank_stabilized=config.rank_stabilized,
        tucker=config.tucker and large,
    )
