"""What a run takes of disk and memory, told from the headers of the base model's files; no weight is read, no torch here."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

Shapes = Mapping[str, tuple[int, ...]]
"""Weight → its shape."""
TRANSFORMER = re.compile(r"(^|\.)attentions\.\d+\.")
CONVOLUTIONAL = re.compile(r"(^|\.)(resnets|downsamplers|upsamplers)\.\d+\.")
TEXT = re.compile(r"\.(self_attn|mlp)\.")
HEADER_LIMIT = 100 * 2**20
"""Bytes above which a file's header is no header."""
SAVED, CHECKPOINTED = 450_000, 120_000
"""Bytes that the UNet of SD 1.5 keeps for the way back, per latent pixel of a picture in float32, and what is left of
them with gradient checkpointing."""
HALVED = 0.7
"""What of them half precision keeps; so the peaks come to those that SimpleTuner publishes for SD 1.x at rank 16."""
FIRST_CHANNELS = 320
"""Channels of SD 1.5's first block, which these figures were counted with."""
KEPT = 16
"""Bytes in memory for each trained number: itself, its gradient and AdamW's two moments."""
STORED = 12
"""Bytes in a saved state for each: without the gradient."""


@dataclass(frozen=True, slots=True)
class BaseShapes:
    """A base model by its shapes. `channels` are the UNet's first, `factor` the pixels per latent pixel along a side."""

    unet: Shapes
    text: Shapes
    vae: Shapes
    channels: int
    factor: int
    latent_channels: int
    text_width: int


def base_shapes(folder: Path) -> BaseShapes | None:
    """The shapes of a model folder in diffusers format; None where a file is missing or cannot be read."""
    try:
        unet, vae, text = (
            json.loads((folder / part / "config.json").read_text(encoding="utf-8"))
            for part in ("unet", "vae", "text_encoder")
        )
        return BaseShapes(
            unet=_weights(folder / "unet"),
            text=_weights(folder / "text_encoder"),
            vae=_weights(folder / "vae"),
            channels=int(unet["block_out_channels"][0]),
            factor=2 ** (len(vae["block_out_channels"]) - 1),
            latent_channels=int(vae.get("latent_channels", 4)),
            text_width=int(text["hidden_size"]),
        )
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return None


def _weights(folder: Path) -> dict[str, tuple[int, ...]]:
    """Every weight in a folder's safetensors files, those of other precisions left out.

    Raises:
        OSError: there is none.
    """
    found: dict[str, tuple[int, ...]] = {}
    for file in sorted(folder.glob("*.safetensors")):
        if not any(part in file.name for part in ("fp16", "non_ema")):
            found |= {name: tuple(entry["shape"]) for name, entry in _header(file).items() if name != "__metadata__"}
    if not found:
        raise FileNotFoundError(folder)
    return found


def _header(file: Path) -> dict[str, Any]:
    with file.open("rb") as stream:
        length = int.from_bytes(stream.read(8), "little")
        if length > HEADER_LIMIT:
            raise ValueError(f"{file} has no header")
        return dict(json.loads(stream.read(length)))


def numbers(shapes: Shapes) -> int:
    """How many numbers a model holds."""
    return sum(math.prod(shape) for shape in shapes.values())


def adapted(base: BaseShapes, convolutions: bool, text_encoder: bool) -> tuple[tuple[int, ...], ...]:
    """The shapes of all weights that an adapter hangs on: those of linear layers and convolutions."""
    rules = [(base.unet, TRANSFORMER)]
    rules += [(base.unet, CONVOLUTIONAL)] if convolutions else []
    rules += [(base.text, TEXT)] if text_encoder else []
    return tuple(
        shape
        for shapes, rule in rules
        for name, shape in shapes.items()
        if rule.search(name) and name.endswith(".weight") and len(shape) in (2, 4)
    )


def adapter_numbers(shapes: Iterable[tuple[int, ...]], algorithm: str, rank: int, conv_rank: int) -> int:
    """How many numbers an adapter trains: for a layer from I to O and a k × k kernel, rank · (I · k² + O); a Hadamard
    product (loha) takes two such pairs."""
    pairs = 2 if algorithm == "loha" else 1
    total = 0
    for out, *inner in shapes:
        large = len(inner) == 3 and inner[1:] != [1, 1]
        total += pairs * (conv_rank if large else rank) * (math.prod(inner) + out)
    return total


def latent_bytes(sizes: Iterable[tuple[int, int]], factor: int = 8, channels: int = 4) -> int:
    """Bytes of cached latents of pictures of these (width, height): mean and spread in float32."""
    return sum(2 * 4 * channels * (width // factor) * (height // factor) for width, height in sizes)


def memory_bytes(
    base: BaseShapes,
    trained: int,
    pictures: int,
    size: tuple[int, int],
    half: bool,
    checkpointing: bool,
) -> int:
    """Roughly what a training step takes, with AdamW:

        4 · (numbers of text encoder and VAE) + 4 (half precision: 2) · numbers of the UNet + 16 · numbers of the adapter
        + pictures · latent pixels · SAVED · channels / 320, less in half precision and with gradient checkpointing

    Args:
        pictures: in the largest batch, twins counted in.
        size: (width, height) of the largest bucket.
    """
    weights = 4 * (numbers(base.text) + numbers(base.vae)) + (2 if half else 4) * numbers(base.unet)
    pixels = (size[0] // base.factor) * (size[1] // base.factor)
    saved = (CHECKPOINTED if checkpointing else SAVED) * (HALVED if half else 1) * base.channels / FIRST_CHANNELS
    return round(weights + KEPT * trained + pictures * pixels * saved)


def in_words(number: float) -> str:
    """Bytes in the unit people think in."""
    for unit in ("bytes", "kB", "MB", "GB"):
        if number < 1000:
            return f"{number:.3g} {unit}"
        number /= 1000
    return f"{number:.3g} TB"
