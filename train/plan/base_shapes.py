"""The shapes of a base model, inferred from the headers of its files; no weight is read, no torch here."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pipeline.core.errors import PrepError
from train.models.families.family import Family
from train.models.families.key_map import UNET, VAE, blocks_of, text_shapes, unet_from_ldm
from train.models.families.known_shapes import family_by_name, known_shapes
from train.models.families.registry import FAMILIES, family_of_config
from train.models.loading.detect import family_of
from train.models.loading.quantized import beside
from train.models.loading.safetensors_header import read_header
from train.models.locate import find_folder, is_repository
from train.models.options import ModelOptions
from train.models.shapes import BaseShapes, Shapes


def shapes_of(model: ModelOptions) -> tuple[BaseShapes | None, str]:
    """The shapes of the base model, and a word on where they are from if not from its files: of one that is not downloaded yet
    those of the family that its name tells of. None where it cannot be read."""
    try:
        folder = find_folder(model.base, model.revision, download=False)
    except PrepError as error:
        if not is_repository(model.base):
            return None, f"of a base model that is not on this machine: {error.message}"
        family = FAMILIES[family_by_name(model.base)]
        return of_family(family), f"{model.base} is not on this machine yet: taken to be {family.title}, by its name"
    shapes = base_shapes(folder)
    return (
        shapes,
        "" if shapes else f"{folder} is no model in diffusers format and no .safetensors file that can be read",
    )


def of_family(family: Family) -> BaseShapes:
    """Those of a family's models of full size."""
    configs, shapes = family.configs(), known_shapes(family.name)
    width = max(int(configs[part.folder]["hidden_size"]) for part in family.text)
    return _told(family, shapes["unet"], shapes["text"], shapes["vae"], configs["unet"], configs["vae"], width)


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
    return _told(family, _weights(folder / "unet"), _joined(texts), _weights(folder / "vae"), unet, vae, max(widths))


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
    return _told(family, unet, _joined(texts), _under(shapes, VAE), configs["unet"], configs["vae"], width)


def _under(shapes: Shapes, prefix: str) -> dict[str, tuple[int, ...]]:
    return {key.removeprefix(prefix): shape for key, shape in shapes.items() if key.startswith(prefix)}


def _told(
    family: Family,
    unet: Shapes,
    text: Shapes,
    vae: Shapes,
    unet_config: Mapping[str, Any],
    vae_config: Mapping[str, Any],
    width: int,
) -> BaseShapes:
    return BaseShapes(
        unet=unet,
        text=text,
        vae=vae,
        channels=int(unet_config["block_out_channels"][0]),
        factor=2 ** (len(vae_config["block_out_channels"]) - 1),
        latent_channels=int(vae_config.get("latent_channels", 4)),
        text_width=width,
        family=family.name,
    )


def _joined(texts: Mapping[str, Shapes]) -> dict[str, tuple[int, ...]]:
    return {f"{part}.{key}": shape for part, shapes in texts.items() for key, shape in shapes.items()}


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
