"""Options of the base model: which it is, how captions are read, and in which precision it computes. No torch here."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from pipeline.config.rules import BESIDE, PERSONAL, PERSONAL_BESIDE, Problem, above, at_least, option


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
    mixed_precision: Literal["auto", "no", "fp16", "bf16"] = "auto"
    """Precision of the frozen base model and of the arithmetic; the adapter's weights stay in float32. auto is bf16, else
    fp16, where the device computes in it faster, and no elsewhere."""
    weights_precision: Literal["auto", "full", "half", "fp8"] = "auto"
    """What the base model's frozen weights are kept in: full as they are computed with; half in 16 bits, exact where the file
    has them so; fp8 in 8 bits, which takes half of that, is exact where the file has them so, and slower. auto is full where
    there is memory for it."""
    gradient_checkpointing: bool | None = option(None, BESIDE)
    """Save memory by recomputing activations in the backward pass, which takes a third longer; if not given, where
    memory asks for it."""
    offload: Literal["auto", "none", "parts", "blocks"] = option("auto", BESIDE)
    """What leaves the device for the host's memory: parts has text encoders, VAE and UNet on it only while they are at work;
    blocks has the UNet's weights come one layer at a time too, which is slow and takes the least. auto does so where memory
    asks for it."""
    vram: float | None = option(None, PERSONAL_BESIDE, above(0))
    """Memory of the card in GiB that all of this is chosen for, 8 say; what the device has free if not given."""
    compile: bool = option(False, BESIDE)
    """Compile the UNet's repeated blocks with torch.compile: the first steps take minutes, each later one less time. It pays in
    long runs on a GPU."""
    channels_last: bool = option(False, BESIDE)
    """Keep the UNet's convolutions with their channels last, which is faster on NVIDIA's GPUs in half precision."""
    tf32: bool = option(False, BESIDE)
    """Let an NVIDIA GPU multiply float32 with 10 bits of mantissa instead of 23, which is faster; it matters with
    mixed_precision = no."""
    vae_precision: Literal["auto", "fp32", "fp16", "bf16"] = "auto"
    """Precision of the VAE when latents are cached: auto is fp16 on a GPU with mixed_precision, else fp32.
    Images that overflow in fp16 are encoded again in fp32."""

    def problems(self) -> Iterator[Problem]:
        if self.compile and (self.offload == "blocks" or self.weights_precision == "fp8"):
            kept = "offload = blocks" if self.offload == "blocks" else "weights_precision = fp8"
            yield (
                f"compile is for layers whose weights stay as they are, and {kept} restores them at every step",
                "leave one of the two out",
            )
        if self.weights_precision == "half" and self.mixed_precision in ("fp16", "bf16"):
            yield (
                f"weights_precision is 'half', which does nothing beside mixed_precision = {self.mixed_precision!r}",
                "leave weights_precision out",
            )
