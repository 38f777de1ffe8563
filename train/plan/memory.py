"""What a run takes of disk and memory, inferred from the headers of the base model's files; no weight is read, no torch here."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pipeline.core.errors import PrepError
from train.adapters.names.client_keys import TARGETS
from train.adapters.option_rules import adapter_config
from train.adapters.registry import ALGORITHMS
from train.models.families.family import Family
from train.models.families.key_map import UNET, VAE, blocks_of, text_shapes, unet_from_ldm
from train.models.families.registry import family_of_config
from train.models.loading.detect import family_of
from train.models.loading.quantized import beside
from train.models.loading.safetensors_header import read_header
from train.models.shapes import BaseShapes, Shapes, parameter_count

if TYPE_CHECKING:
    from train.options.recipe import Recipe

SAVED = {"sd1": (450_000, 120_000), "sd2": (450_000, 120_000), "sdxl": (770_000, 160_000)}
"""Bytes that the UNet of a family keeps for the way back, per latent pixel of an image in float32, and what is left of
them with gradient checkpointing. SD 1.x's were counted; SDXL's come from the peaks that SimpleTuner publishes for it at
1024 pixels in bf16, 13.0 and 6.5 GiB, less the UNet's weights."""
HALVED = 0.7
"""What of them half precision keeps; so the peaks come to those that SimpleTuner publishes for SD 1.x at rank 16."""
FIRST_CHANNELS = 320
"""Channels of the first block, which these figures hold for."""
KEPT = 16
"""Bytes in memory for each trained number: itself, its gradient and AdamW's two moments."""
STORED = 12
"""Bytes in a saved state for each: without the gradient."""


def base_shapes(place: Path) -> BaseShapes | None:
    """The shapes of a model folder in diffusers format or of a single .safetensors file; None where a file is missing or
    cannot be read."""
    try:
        return _of_file(place) if place.is_file() else _of_folder(place)
    except (OSError, ValueError, KeyError, TypeError, AttributeError, PrepError):
        return None


def _of_folder(folder: Path) -> BaseShapes:
    unet, vae = (_config(folder / part) for part in ("unet", "vae"))
    family = family_of_config(unet)
    texts = {part.folder: _weights(folder / part.folder) for part in family.text}
    widths = [int(_config(folder / part)["hidden_size"]) for part in texts]
    return _told(family, _weights(folder / "unet"), texts, _weights(folder / "vae"), unet, vae, max(widths))


def _of_file(file: Path) -> BaseShapes:
    shapes = {name: shape for name, shape in read_header(file).shapes.items() if not beside(name)}
    family = family_of(file, shapes)
    configs = family.configs()
    blocks = blocks_of(configs["unet"])
    unet = {unet_from_ldm(key, blocks): shape for key, shape in _under(shapes, UNET).items()}
    texts = {
        part.folder: text_shapes(_under(shapes, part.prefix), part, int(configs[part.folder]["num_hidden_layers"]))
        for part in family.text
    }
    width = max(int(configs[part]["hidden_size"]) for part in texts)
    return _told(family, unet, texts, _under(shapes, VAE), configs["unet"], configs["vae"], width)


def _under(shapes: Shapes, prefix: str) -> dict[str, tuple[int, ...]]:
    return {key.removeprefix(prefix): shape for key, shape in shapes.items() if key.startswith(prefix)}


def _told(
    family: Family,
    unet: Shapes,
    texts: Mapping[str, Shapes],
    vae: Shapes,
    unet_config: Mapping[str, Any],
    vae_config: Mapping[str, Any],
    width: int,
) -> BaseShapes:
    return BaseShapes(
        unet=unet,
        text={f"{part}.{key}": shape for part, shapes in texts.items() for key, shape in shapes.items()},
        vae=vae,
        channels=int(unet_config["block_out_channels"][0]),
        factor=2 ** (len(vae_config["block_out_channels"]) - 1),
        latent_channels=int(vae_config.get("latent_channels", 4)),
        text_width=width,
        family=family.name,
    )


def _config(folder: Path) -> dict[str, Any]:
    return dict(json.loads((folder / "config.json").read_text(encoding="utf-8")))


def _weights(folder: Path) -> dict[str, tuple[int, ...]]:
    """Every weight in a folder's safetensors files; those of half precision only where there are no others.

    Raises:
        OSError: there is none.
    """
    files = sorted(file for file in folder.glob("*.safetensors") if "non_ema" not in file.name)
    found: dict[str, tuple[int, ...]] = {}
    for file in [file for file in files if "fp16" not in file.name] or files:
        found |= read_header(file).shapes
    if not found:
        raise FileNotFoundError(folder)
    return found


def latent_bytes(sizes: Iterable[tuple[int, int]], factor: int = 8, channels: int = 4) -> int:
    """Bytes of cached latents of images of these (width, height): mean and spread in float32."""
    return sum(2 * 4 * channels * (width // factor) * (height // factor) for width, height in sizes)


def memory_bytes(
    base: BaseShapes,
    trained: int,
    images: int,
    size: tuple[int, int],
    half: bool,
    checkpointing: bool,
) -> int:
    """Roughly what a training step takes, with AdamW:

        4 · (numbers of text encoder and VAE) + 4 (half precision: 2) · numbers of the UNet + 16 · numbers of the adapter
        + images · latent pixels · SAVED of the family · channels / 320, less in half precision and with gradient checkpointing

    Args:
        images: in the largest batch, regularization images counted in.
        size: (width, height) of the largest bucket.
    """
    weights = 4 * (parameter_count(base.text) + parameter_count(base.vae)) + (2 if half else 4) * parameter_count(
        base.unet
    )
    pixels = (size[0] // base.factor) * (size[1] // base.factor)
    saved = SAVED[base.family][checkpointing] * (HALVED if half else 1) * base.channels / FIRST_CHANNELS
    return round(weights + KEPT * trained + images * pixels * saved)


def grows(options: Recipe) -> str:
    """What is to be said of the file's size where the programs it is for need layers rewritten, which makes it larger."""
    algorithm, config = ALGORITHMS[options.adapter.algorithm], adapter_config(options.adapter)
    rewritten = any(algorithm.rewritten_for(client, config) for client in TARGETS.get(options.saving.export_for, ()))
    return f' as trained; rewritten for export_for = "{options.saving.export_for}" it is larger' if rewritten else ""
