"""An adapter file, opened lazily: its layers by kohya's names, whatever style it was written in."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, TypeVar

import torch
from safetensors import SafetensorError, safe_open

from pipeline.core.errors import PrepError
from train.adapters.algebra.dora import magnitude_axis
from train.adapters.algorithms.algorithm import LayerKind
from train.adapters.files.layer import Layer, checked, faults, input_channels
from train.adapters.files.peft_alphas import peft_alpha
from train.adapters.files.writer import FORMATS
from train.adapters.names.key_styles import EMBEDDING, SCALAR, named
from train.adapters.names.kohya_names import LayerPath, layer_path_of
from train.adapters.registry import KINDS, kind_of
from train.models.families.registry import WIDTHS
from train.models.loading.safetensors_header import read_header

FLOATS = {name: dtype for dtype, name in FORMATS.items() if dtype.is_floating_point and dtype.itemsize > 1}
WHOLE = tuple(name for dtype, name in FORMATS.items() if not dtype.is_floating_point)
SHOWN = 5
SCALED = (("lora_up.weight",), ("hada_w1_a",), ("lokr_w1", "lokr_w1_a"), ("a1.weight",), ("b1.weight",), ("diff",))
"""For each product that LyCORIS' scalar acts on the factor to multiply, whichever is there."""


T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Outline:
    """A layer's algorithm, keys (suffix → key in the file) and shapes, known without reading its weights."""

    name: str
    algorithm: str
    keys: Mapping[str, str]
    shapes: Mapping[str, tuple[int, ...]]
    scalar: str = ""
    """The key of LyCORIS' factor of the whole layer, "" where there is none."""

    @property
    def kind(self) -> LayerKind:
        return KINDS[self.algorithm]

    @property
    def rank(self) -> int | None:
        return self.kind.rank(self.shapes)

    @property
    def dotted(self) -> bool:
        """Whether its keys are written otherwise than kohya does."""
        return any((key := named(each)) is not None and key.dotted for each in self.keys.values())

    @property
    def magnitudes_of_outputs(self) -> bool:
        """Whether DoRA's magnitudes are those of outputs: PEFT's always, others' by their shape and the layer's inputs."""
        if "dora_scale" not in self.keys:
            return False
        if "lora_magnitude_vector" in self.keys["dora_scale"]:
            return True
        return magnitude_axis(self.shapes["dora_scale"], input_channels(self.kind, self.shapes)) == "output"

    @property
    def layer_path(self) -> LayerPath | None:
        return layer_path_of(self.name)


@dataclass(frozen=True)
class AdapterFile:
    """What the header of a file says. Weights are read by `layer`, one layer at a time; they begin at the byte `start`.

    `unknown` are keys of no known style or algorithm, `problems` what makes layers unusable; `embeddings` the keys of textual
    inversions that the file brings along.
    """

    path: Path
    size: int
    start: int
    metadata: Mapping[str, str]
    dtypes: Mapping[str, str]
    outlines: Mapping[str, Outline]
    unknown: tuple[str, ...]
    problems: tuple[str, ...]
    embeddings: tuple[str, ...] = ()

    @property
    def keys(self) -> tuple[str, ...]:
        return tuple(self.dtypes)

    @cached_property
    def family(self) -> str:
        """sd1, sd2 or sdxl, by the shapes of cross attention and the names; "" if neither tells."""
        return family_of(self.outlines, self.metadata)

    def dotted(self, name: str) -> bool:
        """Whether a layer's keys are written otherwise than kohya does."""
        return self.outlines[name].dotted

    @property
    def dtype(self) -> torch.dtype:
        """The one most weights are in."""
        known = Counter(dtype for key, dtype in self.dtypes.items() if dtype in FLOATS and not key.endswith(".alpha"))
        return FLOATS[known.most_common(1)[0][0]] if known else torch.float32

    def layer(self, name: str) -> Layer:
        """The weights of one layer in float32.

        Raises:
            PrepError: they are not finite, or cannot be read.
        """
        with self.reading() as layer:
            return layer(name)

    def layers(self) -> Iterator[Layer]:
        with self.reading() as layer:
            for name in self.outlines:
                yield layer(name)

    @contextmanager
    def reading(self) -> Iterator[Callable[[str], Layer]]:
        """`layer` for many layers: the file is opened once, as its header is read each time that it is.

        Raises:
            PrepError: the file cannot be opened.
        """
        with self._guarded("", lambda: safe_open(self.path, framework="pt")) as file:
            yield lambda name: self._read(file, name)

    def _read(self, file: Any, name: str) -> Layer:
        outline = self.outlines[name]
        tensors = self._guarded(
            name, lambda: {suffix: file.get_tensor(key).float() for suffix, key in outline.keys.items()}
        )
        scalar = self._guarded(name, lambda: file.get_tensor(outline.scalar).float()) if outline.scalar else None
        return self._made(name, tensors, scalar)

    def _guarded(self, name: str, read: Callable[[], T]) -> T:
        try:
            return read()
        except (OSError, SafetensorError, RuntimeError) as error:
            raise PrepError(
                f"{self.path}: {f'{name} ' if name else ''}cannot be read: {error}", "the file is damaged: copy it anew"
            ) from error

    def _made(self, name: str, tensors: dict[str, torch.Tensor], scalar: torch.Tensor | None) -> Layer:
        outline = self.outlines[name]
        if "alpha" not in tensors and outline.rank and (layer_path := outline.layer_path) is not None:
            alpha = peft_alpha(self.metadata, layer_path.part, layer_path.path, outline.rank)
            tensors |= {} if alpha is None else {"alpha": torch.tensor(alpha)}
        if outline.magnitudes_of_outputs:
            tensors["dora_scale"] = along_outputs(tensors["dora_scale"])
        if scalar is not None:
            tensors |= multiplied(tensors, scalar)
        return checked(Layer(name, outline.algorithm, tensors))

    def embedded(self) -> Iterator[tuple[str, torch.Tensor]]:
        """The textual inversions that the file brings along, key by key."""
        with safe_open(self.path, framework="pt") as file:
            for key in self.embeddings:
                yield key, file.get_tensor(key)

    def sound(self) -> AdapterFile:
        """The file itself, if nothing of it is lost when its layers are used.

        Raises:
            PrepError: it has unknown keys or layers that cannot be computed.
        """
        wrong = [*self.problems, *(f"{key}: not a key of any known adapter" for key in self.unknown)]
        if wrong:
            more = f"\n… and {len(wrong) - SHOWN} more" if len(wrong) > SHOWN else ""
            raise PrepError(
                f"{self.path} cannot be used whole:\n" + "\n".join(wrong[:SHOWN]) + more,
                f"see all with: prep adapter info {self.path}",
            )
        return self


def open_adapter(path: Path) -> AdapterFile:
    """Read the header of a safetensors file and sort its keys into layers.

    Raises:
        PrepError: it is missing, no safetensors file, or holds no adapter layer at all.
    """
    header = read_header(path)
    shapes, dtypes = header.shapes, header.dtypes
    grouped: dict[str, dict[str, str]] = {}
    unknown: list[str] = []
    problems: list[str] = []
    embeddings: list[str] = []
    for key in sorted(shapes):
        name = named(key)
        if key.startswith(EMBEDDING):
            embeddings.append(key)
        elif name is None:
            unknown.append(key)
        elif dtypes[key] not in (*FLOATS, *WHOLE):
            problems.append(f"{name.layer}: {name.suffix} is in {dtypes[key]}, which cannot be computed with")
        elif name.suffix in grouped.setdefault(name.layer, {}):
            problems.append(f"{key} says again what {grouped[name.layer][name.suffix]} says")
        else:
            grouped[name.layer][name.suffix] = key
    outlines = {}
    for layer, keys in grouped.items():
        scalar = keys.pop(SCALAR, "")
        held = {suffix: shapes[key] for suffix, key in keys.items()}
        kind = kind_of(held)
        if kind is None:
            unknown += [*keys.values(), *([scalar] if scalar else [])]
            continue
        problems += faults(layer, kind, held)
        if scalar and (not any(each in held for group in SCALED for each in group) or math.prod(shapes[scalar]) != 1):
            problems.append(f"{layer}: {SCALAR} {list(shapes[scalar])} does not belong to {kind.name}")
        outlines[layer] = Outline(layer, kind.name, keys, held, scalar)
    problems += _alphas(outlines)
    if not outlines:
        raise PrepError(
            f"{path} holds no layer of an adapter; its keys begin with {', '.join(sorted(shapes)[:3]) or 'nothing'}",
            "give a LoRA or LyCORIS file; for what lies between two checkpoints use prep adapter extract",
        )
    size = path.stat().st_size
    return AdapterFile(
        path, size, header.start, header.metadata, dtypes, outlines, tuple(unknown), tuple(problems), tuple(embeddings)
    )


def along_outputs(magnitude: torch.Tensor) -> torch.Tensor:
    """PEFT's magnitudes, which are those of outputs: of a convolution it writes them as (1, out, 1, 1)."""
    return magnitude.reshape(-1, *[1] * (magnitude.dim() - 1))


def multiplied(tensors: Mapping[str, torch.Tensor], scalar: torch.Tensor) -> dict[str, torch.Tensor]:
    """The factors that LyCORIS' scalar acts on, multiplied with it: one of each product."""
    found = {}
    for group in SCALED:
        suffix = next((each for each in group if each in tensors), None)
        if suffix is not None:
            found[suffix] = tensors[suffix] * scalar.reshape(())
    return found


def _alphas(outlines: Mapping[str, Outline]) -> list[str]:
    """Layers without alpha among layers with it: clients act on them with another strength than was trained."""
    ranked = [outline for outline in outlines.values() if outline.rank]
    without = [outline.name for outline in ranked if "alpha" not in outline.shapes]
    if not without or len(without) == len(ranked):
        return []
    return [f"{name}: alpha is missing, though other layers have one" for name in without]


def family_of(outlines: Mapping[str, Outline], metadata: Mapping[str, str]) -> str:
    """By the width of the text states that cross attention reads (768, 1024, 2048), then by names and metadata. In names as
    OneTrainer writes them for ComfyUI, those of the original UNet are of any family."""
    for outline in outlines.values():
        layer_path = outline.layer_path
        if layer_path is not None and layer_path.path.endswith(("attn2.to_k", "attn2.to_v")):
            width = outline.kind.inputs(outline.shapes)
            if width in WIDTHS:
                return WIDTHS[width]
    blocks = ("down_blocks", "mid_block", "up_blocks")
    layer_paths = [
        layer_path
        for outline in outlines.values()
        if (layer_path := outline.layer_path) is not None and not outline.dotted
    ]
    if any(layer_path.style == "ldm" and layer_path.path.startswith(blocks) for layer_path in layer_paths) or any(
        name.startswith("lora_te2_") for name in outlines
    ):
        return "sdxl"
    version = metadata.get("ss_base_model_version", "")
    if version.startswith(("sdxl", "sd_v2", "sd_v1")):
        return {"sdxl": "sdxl", "sd_v2": "sd2", "sd_v1": "sd1"}[
            version[:4] if version.startswith("sdxl") else version[:5]
        ]
    return ""
