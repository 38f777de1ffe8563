"""What a run takes of a device's memory, phase by phase; no weight is read, no torch here.

The model is: what lies on the device throughout (weights, the adapter, what the optimizer keeps), and on top of it either the
activations of a step or all gradients, whichever is more: gradients come as activations go. How large activations are was
counted on fake tensors with prep's own code (tests/benchmarks/memory.py), which a test holds it against.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from train.models.shapes import BaseShapes, Shapes, parameter_count

if TYPE_CHECKING:
    from train.models.options import PrecisionOptions

FIRST_CHANNELS = 320
"""Channels of the UNet's first block that the figures by latent pixel hold for."""
STEP = {
    "sd1": {(True, True): 75_700, (True, False): 321_000, (False, True): 119_300, (False, False): 481_000},
    "sd2": {(True, True): 70_700, (True, False): 315_300, (False, True): 112_000, (False, False): 480_000},
    "sdxl": {(True, True): 68_400, (True, False): 550_000, (False, True): 92_600, (False, False): 820_000},
}
"""Bytes of a training step's activations by family and (in half precision, with gradient checkpointing), for each latent pixel
of each image."""
GENERATING = {True: 13_000, False: 20_000}
"""Bytes of activations in half precision or not, for each latent pixel, guided away from a negative prompt."""
ENCODED = {True: 1_810, False: 3_400}
"""Bytes for each pixel that the VAE encodes, in half precision or not."""
DECODED = 3_080
"""Bytes for each pixel that it decodes, in float32."""
PIXELS_TOGETHER = 1024 * 1024
"""What the VAE encodes at once: of small images as many as have so many pixels, of one with more than half of them that alone."""
TEXT_STEP = {"sd1": 586_000, "sd2": 1_700_000, "sdxl": 3_820_000}
"""Bytes for each token of each caption where the text encoders are trained, in half precision; in float32"""
IN_FULL = 1.8
"""times as many."""
MOMENTS = {
    "AdamW": 8.0,
    "AdamW8bit": 2.1,
    "Lion": 4.0,
    "Lion8bit": 1.1,
    "SGDNesterov": 4.0,
    "AdaFactor": 0.5,
    "DAdaptAdam": 12.0,
    "DAdaptLion": 8.0,
    "Prodigy": 16.0,
    "ScheduleFreeAdamW": 8.0,
}
"""Bytes that an optimizer keeps for each number."""
BLOCK = re.compile(r"(.*(?:resnets|transformer_blocks|attentions|samplers)\.\d+)\.")
"""Layers whose activations are recomputed together: what stands before a weight's name."""


@dataclass(frozen=True, slots=True)
class Memory:
    """Bytes on the device: what lies there while it trains, by part, and the most that is there in each phase."""

    parts: tuple[tuple[str, int], ...]
    phases: tuple[tuple[str, int], ...]

    @property
    def peak(self) -> int:
        return max(size for _, size in self.phases)

    @property
    def training(self) -> int:
        """The most while it trains."""
        return dict(self.phases)["training"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Load:
    """What a run does that decides its memory: numbers trained in the UNet and the text encoders, images in the largest batch
    with their regularization images, (width, height) of the largest bucket, tokens of a caption, the optimizer, whether the
    text encoders are trained, and whether images are generated while it trains."""

    trained: int
    images: int
    size: tuple[int, int]
    tokens: int = 77
    optimizer: str = "AdamW"
    trains_text: bool = False
    generates: bool = False


def kept_bytes(shapes: Shapes, kept: str, half: bool) -> int:
    """What a frozen part takes: weights of linear layers and convolutions as they are kept, norms and embeddings in float32.

    Args:
        kept: full, half or fp8, see `weights_precision`.
        half: whether it computes in half precision.
    """
    computed = 2 if half else 4
    each = {"full": computed, "half": 2, "fp8": 1}[kept]
    total = 0
    for name, shape in shapes.items():
        path, _, end = name.rpartition(".")
        if len(shape) >= 2 and "embedding.weight" not in name:
            total += math.prod(shape) * each + (shape[0] * computed if kept == "fp8" else 0)
        elif end == "bias" and len(shapes.get(f"{path}.weight", ())) >= 2:
            total += math.prod(shape) * computed
        else:
            total += math.prod(shape) * 4
    return total


def streamed_bytes(unet: Shapes, half: bool) -> int:
    """What of a UNet whose layers come one at a time is on the device: norms and biases, the layer that is at work and the next
    one, and a block's layers while it is computed again."""
    small = {name: shape for name, shape in unet.items() if len(shape) < 2}
    largest_layer = max((math.prod(shape) for shape in unet.values()), default=0) * (2 if half else 4)
    return kept_bytes(small, "full", half) + 2 * largest_layer + restored_bytes(unet, "fp8", half, True)


def restored_bytes(unet: Shapes, kept: str, half: bool, checkpointing: bool) -> int:
    """What of the UNet is restored at once where it is not kept as it computes: one layer's weight, or with checkpointing those
    of the block that is computed again."""
    computed = 2 if half else 4
    if kept == "full" or (kept == "half" and half):
        return 0
    if not checkpointing:
        return max((math.prod(shape) * computed for shape in unet.values()), default=0)
    blocks: dict[str, int] = {}
    for name, shape in unet.items():
        match = BLOCK.match(name)
        if match:
            blocks[match[1]] = blocks.get(match[1], 0) + math.prod(shape) * computed
    return max(blocks.values(), default=0)


def memory_of(base: BaseShapes, options: PrecisionOptions, load: Load) -> Memory:
    """The memory of a run whose options are decided."""
    half, kept = options.mixed_precision != "no", options.weights_precision
    checkpointing, lean = bool(options.gradient_checkpointing), options.offload != "none"
    unet = streamed_bytes(base.unet, half) if options.offload == "blocks" else kept_bytes(base.unet, kept, half)
    text, vae = kept_bytes(base.text, kept, half), 4 * parameter_count(base.vae)
    adapter, moments = 4 * load.trained, round(MOMENTS[load.optimizer] * load.trained)
    pixels = (load.size[0] // base.factor) * (load.size[1] // base.factor)
    step = load.images * pixels * STEP[base.family][half, checkpointing] * base.channels // FIRST_CHANNELS
    step += 0 if options.offload == "blocks" else restored_bytes(base.unet, kept, half, checkpointing)
    if load.trains_text:
        step += round(load.images * load.tokens * TEXT_STEP[base.family] * (1 if half else IN_FULL))
    held = unet + (text if load.trains_text or not lean else 0) + (0 if lean else vae)
    most = max(step, 4 * load.trained)
    parts = [
        ("UNet", unet),
        ("text encoders", text if load.trains_text or not lean else 0),
        ("VAE", 0 if lean else vae),
    ]
    parts += [("adapter", adapter), ("optimizer", moments), ("a step", most)]
    together = unet + text + vae
    phases = [
        ("caching latents", (vae if lean else together) + _encoding(load.size, half)),
        ("training", held + adapter + moments + most),
    ]
    if load.generates:
        area = load.size[0] * load.size[1]
        unet_side = (unet if lean else together) + 2 * pixels * GENERATING[half] * base.channels // FIRST_CHANNELS
        vae_side = (vae if lean else together) + area * DECODED
        phases.append(("generating", adapter + moments + max(unet_side, vae_side)))
    return Memory(tuple((name, size) for name, size in parts if size), tuple(phases))


def generating_bytes(base: BaseShapes, options: PrecisionOptions, images: int, size: tuple[int, int]) -> int:
    """The most that is on the device while so many images are generated at once."""
    half, lean = options.mixed_precision != "no", options.offload != "none"
    unet, text = (kept_bytes(part, options.weights_precision, half) for part in (base.unet, base.text))
    unet = streamed_bytes(base.unet, half) if options.offload == "blocks" else unet
    vae, pixels = 4 * parameter_count(base.vae), (size[0] // base.factor) * (size[1] // base.factor)
    together = unet + text + vae
    denoising = 2 * images * pixels * GENERATING[half] * base.channels // FIRST_CHANNELS
    return max(
        (unet if lean else together) + denoising + restored_bytes(base.unet, options.weights_precision, half, True),
        (vae if lean else together) + size[0] * size[1] * DECODED,
        text,
    )


def _encoding(size: tuple[int, int], half: bool) -> int:
    area = size[0] * size[1]
    return max(area, min(PIXELS_TOGETHER, 32 * area)) * ENCODED[half]


def largest(sizes: Iterable[tuple[int, int]]) -> tuple[int, int]:
    """The (width, height) with the most pixels."""
    return max(sizes, key=lambda size: size[0] * size[1])
