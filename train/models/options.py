"""Options of the base model: which it is, how captions are read, and in which precision it computes. No torch here."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from pipeline.config.rules import PERSONAL, at_least, option


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelOptions:
    base: str = option("stable-diffusion-v1-5/stable-diffusion-v1-5", PERSONAL)
    """Base model of SD 1.x, 2.x or SDXL: a single .safetensors or .ckpt file, a folder in diffusers format, a hub
    repository, or `miniature`, the tiny one in the package."""
    revision: str | None = option(None, PERSONAL)
    """Revision of the hub repository to pin; the newest when empty."""
    vae: str | None = option(None, PERSONAL)
    """Another VAE instead of the base model's own: a folder, a hub repository (OWNER/NAME@REVISION pins it), or a single
    file."""
    tokenizer: Path | None = option(None, PERSONAL)
    """Folder of the CLIP tokenizer (vocab.json and merges.txt), which a single file lacks; the hub's if not given."""
    prediction: Literal["auto", "epsilon", "v_prediction"] = option("auto", PERSONAL)
    """What the UNet predicts, noise or velocity; auto reads it from the base model's files, and where they do not say,
    detects it from the UNet's output."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TextOptions:
    max_tokens: Literal[75, 150, 225] = 75
    """Longest caption in tokens, encoded in chunks of 75 that are split at commas as in A1111 and Forge."""
    clip_skip: int = option(1, at_least(1))
    """Text encoder layer used, counted from the last."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PrecisionOptions:
    mixed_precision: Literal["no", "fp16", "bf16"] = "no"
    """Precision of the frozen base model and of the arithmetic; the adapter's weights stay in float32."""
    vae_precision: Literal["auto", "fp32", "fp16", "bf16"] = "auto"
    """Precision of the VAE when latents are cached: auto is fp16 on a GPU with mixed_precision, else fp32.
    Images that overflow in fp16 are encoded again in fp32."""
    gradient_checkpointing: bool = False
    """Save memory by recomputing activations in the backward pass."""
