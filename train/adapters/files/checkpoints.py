"""A checkpoint, a diffusers folder or a single file in the original layout, as slots that hold weights."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from torch import Tensor

from pipeline.core.errors import PrepError
from train.adapters.names.kohya_names import FOLDERS, LayerPath, text_layer_path, unet_layer_path
from train.models.families.family import TextPart
from train.models.families.key_map import STANDARD, UNET, Blocks, blocks_of, text_from_ldm
from train.models.families.registry import FAMILIES, WIDTHS
from train.models.loading.detect import refuse_no_model
from train.models.loading.weights import Weights, open_weights

PLAIN = ("weight", "bias")


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
    """Weights of the UNet and text encoders by (part, path, `weight` or `bias`); `files` are all that hold some of them,
    open.

    `folder` is set for a diffusers folder, `blocks` says how the UNet is built.
    """

    path: Path
    folder: bool
    blocks: Blocks
    files: Mapping[Path, Weights]
    slots: Mapping[tuple[str, str, str], Slot]

    @cached_property
    def family(self) -> str:
        """sd1, sd2, sdxl by the width of cross attention, "" for another."""
        for (part, path, _), slot in self.slots.items():
            if part == "unet" and path.endswith("attn2.to_k"):
                return WIDTHS.get(slot.shape[1], "")
        return ""

    def slot(self, layer_path: LayerPath, what: str = "weight") -> Slot | None:
        return self.slots.get((layer_path.part, layer_path.path, what))

    def tensor(self, slot: Slot) -> Tensor:
        """The slot's values: as they are in the file, or what those in 8 bits stand for."""
        return slot.part(self.files[slot.file].tensor(slot.key))

    def layer_paths(self) -> Iterator[LayerPath]:
        """Every linear and convolutional layer, in order of names."""
        for (part, path, what), slot in sorted(self.slots.items()):
            if what == "weight" and len(slot.shape) in (2, 4):
                yield LayerPath(part, path, "diffusers" if part == "unet" else "text_model")


def open_checkpoint(path: Path) -> Checkpoint:
    """Find the weights of a diffusers folder, or of an original `.safetensors` or `.ckpt` file, of which only tensors are
    read.

    Raises:
        PrepError: it is neither, or holds no UNet.
    """
    found = _folder(path) if path.is_dir() else _single(path)
    if not path.is_dir():
        refuse_no_model(path, found.files[path].shapes)
    if not any(part == "unet" for part, _, _ in found.slots):
        raise PrepError(
            f"{path} holds no UNet of Stable Diffusion",
            "give a folder with model_index.json, or a single .safetensors or .ckpt checkpoint",
        )
    return found


def _folder(path: Path) -> Checkpoint:
    if not (path / "model_index.json").is_file():
        raise PrepError(f"{path} is no diffusers model: it has no model_index.json", "give the folder that holds it")
    slots: dict[tuple[str, str, str], Slot] = {}
    files: dict[Path, Weights] = {}
    for part, name in FOLDERS.items():
        for file in _weights(path / name):
            files[file] = open_weights(file)
            for key, shape in files[file].shapes.items():
                stem, _, what = key.rpartition(".")
                layer_path = unet_layer_path(stem) if part == "unet" else text_layer_path(part, stem)
                if layer_path and what in PLAIN:
                    slots[part, layer_path.path, what] = Slot(file, key, shape)
    return Checkpoint(path, True, _blocks(path), files, slots)


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


def _blocks(path: Path) -> Blocks:
    config = path / "unet" / "config.json"
    try:
        return blocks_of(json.loads(config.read_text(encoding="utf-8")))
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise PrepError(
            f"{config} does not say how the UNet's blocks are built: {error}", "get the model anew"
        ) from error


def _single(path: Path) -> Checkpoint:
    weights = open_weights(path)
    shapes = weights.shapes
    downs = [int(found[1]) for key in shapes if (found := re.search(r"input_blocks\.(\d{1,3})\.0\.op\.weight$", key))]
    blocks = Blocks(min(downs) - 1) if downs else STANDARD
    slots: dict[tuple[str, str, str], Slot] = {}
    for key, shape in shapes.items():
        stem, _, what = key.rpartition(".")
        layer_path = unet_layer_path(stem.removeprefix(UNET), blocks) if stem.startswith(UNET) else None
        if layer_path and what in PLAIN:
            slots["unet", layer_path.path, what] = Slot(path, key, shape)
    for family in FAMILIES.values():
        for text in family.text:
            slots |= dict(_text_slots(path, shapes, text, int(family.configs()[text.folder]["num_hidden_layers"])))
    return Checkpoint(path, False, blocks, {path: weights}, slots)


def _text_slots(
    path: Path, shapes: Mapping[str, tuple[int, ...]], text: TextPart, layers: int
) -> Iterator[tuple[tuple[str, str, str], Slot]]:
    part = next(part for part, folder in FOLDERS.items() if folder == text.folder)
    held = {key.removeprefix(text.prefix): shape for key, shape in shapes.items() if key.startswith(text.prefix)}
    for name, stored in text_from_ldm(held, text, layers):
        stem, _, what = name.rpartition(".")
        layer_path = text_layer_path(part, stem)
        if layer_path and what in PLAIN and not stored.turned:
            yield (part, layer_path.path, what), Slot(path, text.prefix + stored.key, stored.shape(held), stored.third)
