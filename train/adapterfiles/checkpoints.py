"""A checkpoint, a diffusers folder or a single file in the original layout, as places that hold weights."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from safetensors import safe_open
from torch import Tensor

from pipeline.errors import PrepError
from train.adapterfiles.reading import read_header
from train.clients.places import LAYERS, Place, text_place, unet_place

FOLDERS = {"unet": "unet", "text_encoder": "te", "text_encoder_2": "te2"}
SINGLE_UNET = "model.diffusion_model."
SINGLE_TEXT = (
    ("cond_stage_model.transformer.", "te"),
    ("conditioner.embedders.0.transformer.", "te"),
)
OPEN_CLIP = (
    ("cond_stage_model.model.transformer.resblocks.", "te", 23),
    ("conditioner.embedders.1.model.transformer.resblocks.", "te2", 32),
)
"""Where OpenCLIP's layers stand, and how many are used: SD 2.x leaves the last of its 24 out, as its folders do."""
OPEN_CLIP_LAYERS = {
    "attn.out_proj": "self_attn.out_proj",
    "mlp.c_fc": "mlp.fc1",
    "mlp.c_proj": "mlp.fc2",
    "ln_1": "layer_norm1",
    "ln_2": "layer_norm2",
}


@dataclass(frozen=True, slots=True)
class Slot:
    """Where a weight or bias lies: a key of a file, or `third` (0, 1, 2 for q, k, v) of one that holds three."""

    file: Path
    key: str
    shape: tuple[int, ...]
    third: int | None = None

    def part(self, whole: Tensor) -> Tensor:
        """This slot's rows of the key's tensor, as a view."""
        return whole if self.third is None else whole.chunk(3)[self.third]


@dataclass(frozen=True)
class Checkpoint:
    """Weights of the UNet and text encoders by (part, path, `weight` or `bias`); `files` are all that hold some of them.

    `folder` is set for a diffusers folder. `layers` are the resnets per block.
    """

    path: Path
    folder: bool
    layers: int
    files: tuple[Path, ...]
    slots: Mapping[tuple[str, str, str], Slot]

    @cached_property
    def family(self) -> str:
        """sd1, sd2, sdxl by the width of cross attention, "" for another."""
        widths = {768: "sd1", 1024: "sd2", 2048: "sdxl"}
        for (part, path, _), slot in self.slots.items():
            if part == "unet" and path.endswith("attn2.to_k"):
                return widths.get(slot.shape[1], "")
        return ""

    def slot(self, place: Place, what: str = "weight") -> Slot | None:
        return self.slots.get((place.part, place.path, what))

    def tensor(self, slot: Slot) -> Tensor:
        """The slot's values as they are in the file."""
        with safe_open(slot.file, framework="pt") as file:
            return slot.part(file.get_tensor(slot.key))

    def places(self) -> Iterator[Place]:
        """Every linear and convolutional layer, in order of names."""
        for (part, path, what), slot in sorted(self.slots.items()):
            if what == "weight" and len(slot.shape) in (2, 4):
                yield Place(part, path, "diffusers" if part == "unet" else "text_model")


def open_checkpoint(path: Path) -> Checkpoint:
    """Find the weights of a diffusers folder or of an original `.safetensors` file, reading headers only.

    Raises:
        PrepError: it is neither, or holds no UNet.
    """
    found = _folder(path) if path.is_dir() else _single(path)
    if not any(part == "unet" for part, _, _ in found.slots):
        raise PrepError(
            f"{path} holds no UNet of Stable Diffusion",
            "give a folder with model_index.json, or a single .safetensors checkpoint",
        )
    return found


def _folder(path: Path) -> Checkpoint:
    if not (path / "model_index.json").is_file():
        raise PrepError(f"{path} is no diffusers model: it has no model_index.json", "give the folder that holds it")
    slots: dict[tuple[str, str, str], Slot] = {}
    files: list[Path] = []
    for name, part in FOLDERS.items():
        for file in _weights(path / name):
            files.append(file)
            _, shapes, _, _ = read_header(file)
            for key, shape in shapes.items():
                stem, _, what = key.rpartition(".")
                place = unet_place(stem) if part == "unet" else text_place(part, stem)
                if place and what in ("weight", "bias"):
                    slots[part, place.path, what] = Slot(file, key, shape)
    return Checkpoint(path, True, _layers_per_block(path), tuple(files), slots)


def _weights(folder: Path) -> list[Path]:
    """The one safetensors file, or the shards of an index, preferring the full variant over fp16 and ema ones."""
    for stem in ("diffusion_pytorch_model", "model"):
        if (folder / f"{stem}.safetensors").is_file():
            return [folder / f"{stem}.safetensors"]
        index = folder / f"{stem}.safetensors.index.json"
        if index.is_file():
            names = sorted(set(json.loads(index.read_text(encoding="utf-8"))["weight_map"].values()))
            strange = [name for name in names if Path(name).name != name]
            if strange:
                raise PrepError(f"{index} names {strange[0]}, which lies outside its folder", "get the model anew")
            return [folder / name for name in names]
    found = sorted(folder.glob("*.safetensors"))
    if len(found) > 1:
        raise PrepError(
            f"{folder} holds several variants: {', '.join(file.name for file in found)}", "keep one of them"
        )
    return found


def _layers_per_block(path: Path) -> int:
    config = path / "unet" / "config.json"
    try:
        return int(json.loads(config.read_text(encoding="utf-8"))["layers_per_block"])
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise PrepError(f"{config} does not say layers_per_block: {error}", "get the model anew") from error


def _single(path: Path) -> Checkpoint:
    _, shapes, _, _ = read_header(path)
    downs = [int(found[1]) for key in shapes if (found := re.search(r"input_blocks\.(\d+)\.0\.op\.weight$", key))]
    layers = min(downs) - 1 if downs else LAYERS
    slots: dict[tuple[str, str, str], Slot] = {}
    for key, shape in shapes.items():
        for (part, inner, what), slot in _single_slots(path, key, shape, layers):
            slots[part, inner, what] = slot
    return Checkpoint(path, False, layers, (path,), slots)


def _single_slots(
    path: Path, key: str, shape: tuple[int, ...], layers: int
) -> Iterator[tuple[tuple[str, str, str], Slot]]:
    stem, _, what = key.rpartition(".")
    if stem.startswith(SINGLE_UNET) and what in ("weight", "bias"):
        place = unet_place(stem.removeprefix(SINGLE_UNET), layers)
        if place:
            yield ("unet", place.path, what), Slot(path, key, shape)
    for prefix, part in SINGLE_TEXT:
        place = text_place(part, stem.removeprefix(prefix)) if stem.startswith(prefix) else None
        if place and what in ("weight", "bias"):
            yield (part, place.path, what), Slot(path, key, shape)
    for prefix, part, used in OPEN_CLIP:
        number, _, inner = key.removeprefix(prefix).partition(".")
        if key.startswith(prefix) and number.isdecimal() and int(number) < used:
            yield from _open_clip(path, key, shape, part, f"text_model.encoder.layers.{number}", inner)


def _open_clip(
    path: Path, key: str, shape: tuple[int, ...], part: str, layer: str, inner: str
) -> Iterator[tuple[tuple[str, str, str], Slot]]:
    """OpenCLIP's layers by the names transformers gives them; one tensor there holds q, k and v."""
    if inner in ("attn.in_proj_weight", "attn.in_proj_bias"):
        for third, letter in enumerate("qkv"):
            slot = Slot(path, key, (shape[0] // 3, *shape[1:]), third)
            yield (part, f"{layer}.self_attn.{letter}_proj", inner.rpartition("_")[2]), slot
    stem, _, what = inner.rpartition(".")
    if stem in OPEN_CLIP_LAYERS and what in ("weight", "bias"):
        yield (part, f"{layer}.{OPEN_CLIP_LAYERS[stem]}", what), Slot(path, key, shape)
