"""What kind of adapter, in plain values."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True, kw_only=True)
class AdapterConfig:
    """What kind of adapter: `rank` and `alpha` for linear layers and 1×1 convolutions, the `conv_` pair for larger ones;
    a `conv_rank` of 0 takes `rank` and `alpha` for all.

    `convolutions` adapts the UNet's resnet, down- and upsampling layers too (LoCon); `text_encoder` the text models;
    `train_norm` the normalization layers between. `factor`, `decompose_both` and `full_matrix` are LoKr's, `unit` DyLoRA's.
    The dropouts act in training only. `blocks` holds each named block's share of the learning rate, 0 leaving it out;
    `block_ranks` and `block_alphas` another rank and alpha for all of a block's layers.
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
