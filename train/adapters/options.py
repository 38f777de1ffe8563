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
    Kronecker products, glora with changes of input and output, full with full weight differences and oft with rotations.
    norm trains normalization layers, ia3 one factor per channel. Experimental: dylora, usable at any lower rank, and boft."""
    rank: int = option(16, at_least(1))
    """Rank (network dim) of linear layers."""
    alpha: float = option(8.0, above(0))
    """Alpha of linear layers; the adapter's output is scaled by alpha / rank."""
    conv_rank: int = option(8, at_least(1))
    """Rank of convolutions larger than 1×1."""
    conv_alpha: float = option(4.0, above(0))
    """Alpha of convolutions larger than 1×1."""
    convolutions: Literal["auto", "yes", "no"] = "auto"
    """Adapt the UNet's resnet, down- and upsampling layers too; auto does so for all algorithms but lora and ia3."""
    train_text_encoder: bool = False
    """Train the text encoder too; with SDXL, both."""
    train_norm: bool = False
    """Train the UNet's normalization layers too."""
    factor: int = option(-1, at_least(-1))
    """LoKr: size of the small Kronecker factor; 2 and 4 make large adapters, -1 the smallest. With 0 or
    1 only the large factor remains, as in a LoRA."""
    decompose_both: bool = False
    """LoKr: decompose the small factor into low rank too, where that is smaller."""
    full_matrix: bool = False
    """LoKr: do not decompose the factors; rank and alpha then have no effect."""
    dora: bool = False
    """Train each input channel's magnitude separately from its direction (DoRA; lora, locon, loha and lokr)."""
    rank_stabilized: bool = False
    """Scale by alpha / √rank instead of alpha / rank (rsLoRA), so that high ranks learn as fast as low ones."""
    tucker: bool = False
    """Tucker decomposition of convolutions larger than 1×1 (locon, loha and lokr)."""
    rank_unit: int = option(4, at_least(1))
    """DyLoRA: ranks trained together; the adapter can be resized to any multiple of it."""
    rank_dropout: float = option(0.0, share())
    """Share of ranks dropped at each step; 0.1 to 0.3 is usual."""
    module_dropout: float = option(0.0, share())
    """Share of layers whose adapter is dropped at each step; 0.1 to 0.3 is usual."""
    network_dropout: float = option(0.0, share())
    """Share of the values between an adapter's down and up weights dropped, drawn for each image; for algorithms without
    such values, of the adapter's output."""
    scale_weight_norms: float = option(0.0, at_least(0))
    """Largest norm of the weight change of a layer (max norm); 1 is usual, 0 turns it off."""
    blocks: Mapping[str, float] = option(dict)
    """Learning rate multiplier of blocks by name, such as { IN = 0.2, OUT05 = 1.0 }; 0 leaves a block out. IN00 to IN11,
    M00, OUT00 to OUT11, IN, MID and OUT for all of a section, BASE for the text encoder."""
    block_ranks: Mapping[str, int] = option(dict)
    """Rank of blocks by name, instead of rank and conv_rank."""
    block_alphas: Mapping[str, float] = option(dict)
    """Alpha of blocks by name, instead of alpha and conv_alpha."""
    network_weights: Path | None = None
    """An adapter to continue training from, of the same algorithm, ranks and base model family."""
