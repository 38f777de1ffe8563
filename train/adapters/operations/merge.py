"""The weighted sum of adapters' differences as one adapter."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from pipeline.core.errors import PrepError
from train.adapters.algebra.factors import joined
from train.adapters.files.checkpoints import Checkpoint
from train.adapters.files.delta import difference, exact_factors
from train.adapters.files.layer import Layer, lora_layer, whole_layer
from train.adapters.files.reader import AdapterFile
from train.adapters.files.weights import Weights
from train.adapters.files.writer import claim, writing
from train.adapters.metadata import renewed
from train.adapters.names.kohya_names import LayerPath, kernel_of, kohya_name
from train.adapters.operations.convert import DYNAMIC, base_weight
from train.adapters.operations.spectrum import Cut, Spectrum, spectrum_of, spectrum_of_factors
from train.models.families.key_map import STANDARD

Source = tuple[AdapterFile, Weights]
SHOWN = 5


@dataclass(frozen=True, slots=True)
class Merged:
    """`layers` layers came of all sources; `forms` says as what; `residual` is the share of the norm a rank cut off."""

    file: Path
    layers: int
    forms: Mapping[str, int]
    residual: float


def merge_adapters(
    sources: Sequence[Source],
    output: Path,
    base: Checkpoint | None = None,
    cut: Cut | None = None,
    dtype: torch.dtype | None = None,
    overwrite: bool = False,
) -> Merged:
    """One adapter that does at strength 1 what the sources do together at their weights.

    Layers that have low-rank factors stand with their ranks side by side, or with `cut` as the best LoRA of that rank;
    where one has none the sum of the differences is stored whole.

    Raises:
        PrepError: the sources are for different models, or a layer needs the base's weights and none are given.
    """
    claim(output, overwrite)
    family = one_family(sources, base)
    blocks = base.blocks if base else STANDARD
    forms: Counter[str] = Counter()
    left = total = 0.0
    layer_paths = gathered(sources, base)
    with writing(output) as out:
        for layer_path, names in layer_paths.items():
            parts = [
                (weights.at(layer_path, blocks), file.layer(name))
                for (file, weights), name in zip(sources, names, strict=True)
                if name and weights.at(layer_path, blocks) != 0
            ]
            if not parts:
                forms["left out at weight 0"] += 1
                continue
            layer, lost, whole = _sum(kohya_name(layer_path, family, blocks), layer_path, parts, base, family, cut)
            forms[layer.algorithm] += 1
            left, total = left + lost, total + whole
            out.add_layer(layer, dtype or sources[0][0].dtype)
        out.metadata |= _metadata(sources, output.stem, family)
    return Merged(output, len(layer_paths), dict(forms), (left / total) ** 0.5 if total else 0.0)


def gathered(sources: Sequence[Source], base: Checkpoint | None) -> dict[LayerPath, list[str]]:
    """For every layer that a source acts on, the layer's name in each, "" where one has none.

    Raises:
        PrepError: names that stand for no layer, twice the same layer in a file, or layers the base does not have.
    """
    found: dict[tuple[str, str], list[str]] = {}
    for index, (file, _) in enumerate(sources):
        for name, outline in file.sound().outlines.items():
            layer_path = outline.layer_path
            if layer_path is None:
                raise PrepError(
                    f"{file.path}: {name} stands for no layer of Stable Diffusion",
                    f"see: prep adapter info {file.path}",
                )
            names = found.setdefault((layer_path.part, layer_path.path), [""] * len(sources))
            if names[index]:
                raise PrepError(f"{file.path}: {name} and {names[index]} are the same layer", "take the file anew")
            names[index] = name
    layer_paths = {LayerPath(part, path, ""): names for (part, path), names in sorted(found.items())}
    if base is not None:
        missing = [
            f"{layer_path.part}:{layer_path.path}" for layer_path in layer_paths if base.slot(layer_path) is None
        ]
        refuse_missing(missing, base.path)
    return layer_paths


def refuse_missing(missing: Sequence[str], path: Path) -> None:
    if missing:
        more = f" and {len(missing) - SHOWN} more" if len(missing) > SHOWN else ""
        raise PrepError(
            f"{path} lacks layers that are acted on: {', '.join(missing[:SHOWN])}{more}",
            "take a model of the kind the adapter was trained on (SD 1.x, 2.x and SDXL differ)",
        )


def one_family(sources: Sequence[Source], base: Checkpoint | None) -> str:
    """The family all are for.

    Raises:
        PrepError: they are for several.
    """
    families = {str(file.path): file.family for file, _ in sources if file.family}
    if base is not None and base.family:
        families[str(base.path)] = base.family
    if len(set(families.values())) > 1:
        listed = ", ".join(f"{path} is for {family}" for path, family in families.items())
        raise PrepError(f"the models do not match: {listed}", "merge adapters and checkpoints of one family")
    return next(iter(families.values()), "")


def _sum(
    name: str,
    layer_path: LayerPath,
    parts: Sequence[tuple[float, Layer]],
    base: Checkpoint | None,
    family: str,
    cut: Cut | None,
) -> tuple[Layer, float, float]:
    """The layer of the sum, and the squared norms of what a cut leaves out and of the whole, 0 without a cut."""
    kind = parts[0][1].kind
    if all(layer.kind is kind and kind.of_norms for _, layer in parts):
        return Layer(name, kind.name, _sums(parts, kind.keys.marks)), 0.0, 0.0
    weight = next((found for _, layer in parts if (found := base_weight(layer, layer_path, base)) is not None), None)
    kernel = tuple(weight.shape[2:]) if weight is not None else _kernel(parts, layer_path, family)
    factors = [(strength, exact_factors(layer, weight)) for strength, layer in parts]
    known = [(strength, each) for strength, each in factors if each is not None]
    biases = [strength * layer.bias for strength, layer in parts if layer.bias is not None]
    if len(known) == len(parts) and not biases:
        side = joined(known)
        if cut is not None:
            return _cut(name, spectrum_of_factors(side), kernel, cut)
        if side.smaller:
            return lora_layer(name, side, kernel), 0.0, 0.0
    total = torch.zeros(())
    shape = None if weight is None else weight.shape
    for strength, layer in parts:
        delta = difference(layer, weight, shape)
        total = total + strength * delta.reshape(delta.shape[0], -1)
    if cut is not None and not biases:
        return _cut(name, spectrum_of(total), kernel, cut)
    bias = torch.stack(biases).sum(0) if biases else None
    return whole_layer(name, total.reshape(total.shape[0], -1, *kernel), bias), 0.0, 0.0


def _cut(name: str, spectrum: Spectrum, kernel: tuple[int, ...], cut: Cut) -> tuple[Layer, float, float]:
    factors, lost = spectrum.cut(cut)
    return lora_layer(name, factors, kernel), lost, float(spectrum.values.square().sum())


def _kernel(parts: Sequence[tuple[float, Layer]], layer_path: LayerPath, family: str) -> tuple[int, ...]:
    """The kernel as a layer's own weights show it, else the one that such a layer has."""
    found = (layer.kind.kernel(layer.shapes) for _, layer in parts)
    return next((kernel for kernel in found if kernel is not None), kernel_of(layer_path, family))


def _sums(parts: Sequence[tuple[float, Layer]], suffixes: Iterable[str]) -> dict[str, Tensor]:
    """The weighted sum of every suffix that some of the parts have."""
    tensors = {}
    for suffix in suffixes:
        found = [strength * layer.tensors[suffix] for strength, layer in parts if suffix in layer.tensors]
        if found:
            tensors[suffix] = torch.stack(found).sum(0)
    return tensors


def _metadata(sources: Sequence[Source], name: str, family: str) -> dict[str, str]:
    """The first source's, with the trigger words of all and where the file comes from."""
    first = sources[0][0].metadata
    phrases = [file.metadata.get("modelspec.trigger_phrase", "") for file, _ in sources]
    words = dict.fromkeys(word.strip() for phrase in phrases for word in phrase.split(",") if word.strip())
    names = ", ".join(f"{file.path.stem} ({weights.overall:g})" for file, weights in sources)
    changes = {"modelspec.merged_from": names, "modelspec.trigger_phrase": ", ".join(words)}
    return renewed(first, name, family, DYNAMIC | {"ss_network_module": "networks.lora"} | changes)
