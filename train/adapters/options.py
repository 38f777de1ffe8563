"""Options of the adapter: its algorithm, its size, where it acts. Which options an algorithm takes is `option_rules`' to
say. No torch here."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from pipeline.config.rules import above, at_least, option, share


@dataclass(frozen=True, slots=True, kw_only=True)
class AdapterOptions:
    algorithm: Literal["lora", "locon", "loha", "lokr", "glora", "full", "norm", "oft", "ia3", "dylora", "boft"] = (
        "lora"
    )
    """lora adapts the transformer layers, locon the convolutions too; so do loha with Hadamard products, lokr with
    Kronecker products, glora with changes of input and output, full with whole differences and oft with rotations. norm
    trains normalization layers, ia3 one number a channel. Experimental: dylora, good at every rank, and boft."""
    rank: int = option(16, at_least(1))
    """Rank (network dim) of linear layers."""
    alpha: float = option(8.0, above(0))
    """Alpha of linear layers; the adapter acts with alpha / rank."""
    conv_rank: int = option(8, at_least(1))
    """Rank of convolutions larger than 1×1."""
    conv_alpha: float = option(4.0, above(0))
    """Alpha of convolutions larger than 1×1."""
    convolutions: Literal["auto", "yes", "no"] = "auto"
    """Adapt the UNet's resnet, down- and upsampling layers too; auto does, but with lora and ia3."""
    train_text_encoder: bool = False
    """Adapt the text encoder as well, with SDXL both."""
    train_norm: bool = False
    """Train the UNet's normalization layers too."""
    factor: int = option(-1, at_least(-1))
    """LoKr: the smaller side of the Kronecker product; 2 and 4 make large adapters, -1 the smallest. 0
    or 1 leaves nothing but the large side, as a LoRA does."""
    decompose_both: bool = False
    """LoKr: give the small factor a low rank too, where that is smaller."""
    full_matrix: bool = False
    """LoKr: leave both factors whole; rank and alpha then do nothing."""
    dora: bool = False
    """Train each input channel's magnitude apart from the direction (DoRA; lora, locon, loha and lokr)."""
    rank_stabilized: bool = False
    """Act with alpha / √rank instead of alpha / rank, so that high ranks learn as fast as low ones."""
    tucker: bool = False
    """Decompose large convolutions further, with a small core (locon, loha and lokr)."""
    rank_unit: int = option(4, at_least(1))
    """DyLoRA: ranks that learn together; an adapter can be cut to any multiple of it."""
    rank_dropout: float = option(0.0, share())
    """Share of ranks that is left out at each step; 0.1 to 0.3 is usual."""
    module_dropout: float = option(0.0, share())
    """Share of layers that go without their adapter at each step; 0.1 to 0.3 is usual."""
    network_dropout: float = option(0.0, share())
    """Share of the values between an adapter's factors that is left out, for each image anew; where there are none
    between, of those it adds."""
    scale_weight_norms: float = option(0.0, at_least(0))
    """Largest norm of what a layer's adapter adds to its weights; 1 is usual, 0 leaves them."""
    blocks: Mapping[str, float] = option(dict)
    """Share of the learning rate for blocks by name, such as { IN = 0.2, OUT05 = 1.0 }; 0 leaves a block out. IN00 to IN11,
    M00, OUT00 to OUT11, IN, MID and OUT for all of a section, BASE for the text encoder."""
    block_ranks: Mapping[str, int] = option(dict)
    """Another rank for all layers of the blocks named."""
    block_alphas: Mapping[str, float] = option(dict)
    """Another alpha for all layers of the blocks named."""
    network_weights: Path | None = None
    """An adapter to go on training from, of the same algorithm, ranks and kind of base model."""
