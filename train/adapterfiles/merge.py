"""The weighted sum of adapters' differences, as one adapter or added to a checkpoint."""

from __future__ import annotations

import secrets
import shutil
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from safetensors import safe_open
from torch import Tensor

from pipeline.errors import PrepError
from train.adapterfiles.checkpoints import Checkpoint, Slot
from train.adapterfiles.convert import DYNAMIC, base_weight
from train.adapterfiles.difference import difference
from train.adapterfiles.factors import (
    Cut,
    Spectrum,
    exact_factors,
    joined,
    lora_layer,
    spectrum_of,
    spectrum_of_factors,
)
from train.adapterfiles.layer import Layer
from train.adapterfiles.reading import AdapterFile, read_header
from train.adapterfiles.weights import Weights
from train.adapterfiles.writing import claim, replace_folder, writing
from train.clients.places import LAYERS, Place, kernel_of, kohya_name
from train.metadata import renewed

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
    layers = base.layers if base else LAYERS
    forms: Counter[str] = Counter()
    left = total = 0.0
    places = gathered(sources, base, layers)
    with writing(output) as out:
        for place, names in places.items():
            parts = [
                (weights.at(place, layers), file.layer(name))
                for (file, weights), name in zip(sources, names, strict=True)
                if name and weights.at(place, layers) != 0
            ]
            if not parts:
                forms["left out at weight 0"] += 1
                continue
            layer, lost, whole = _sum(kohya_name(place, family, layers), place, parts, base, family, cut)
            forms[layer.algorithm] += 1
            left, total = left + lost, total + whole
            out.add_layer(layer, dtype or sources[0][0].dtype)
        out.metadata |= _metadata(sources, output.stem, family)
    return Merged(output, len(places), dict(forms), (left / total) ** 0.5 if total else 0.0)


def gathered(sources: Sequence[Source], base: Checkpoint | None, layers: int) -> dict[Place, list[str]]:
    """For every place that a source acts on, the layer's name in each, "" where one has none.

    Raises:
        PrepError: names that stand for no layer, twice the same place in a file, or places the base does not have.
    """
    found: dict[tuple[str, str], list[str]] = {}
    for index, (file, _) in enumerate(sources):
        for name, outline in file.sound().outlines.items():
            place = outline.place
            if place is None:
                raise PrepError(
                    f"{file.path}: {name} stands for no layer of Stable Diffusion",
                    f"see: prep adapter info {file.path}",
                )
            names = found.setdefault((place.part, place.path), [""] * len(sources))
            if names[index]:
                raise PrepError(f"{file.path}: {name} and {names[index]} are the same layer", "take the file anew")
            names[index] = name
    places = {Place(part, path, ""): names for (part, path), names in sorted(found.items())}
    if base is not None:
        missing = [f"{place.part}:{place.path}" for place in places if base.slot(place) is None]
        refuse_missing(missing, base.path)
    return places


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
    place: Place,
    parts: Sequence[tuple[float, Layer]],
    base: Checkpoint | None,
    family: str,
    cut: Cut | None,
) -> tuple[Layer, float, float]:
    """The layer of the sum, and the squared norms of what a cut leaves out and of the whole, 0 without a cut."""
    if all(layer.algorithm == "norm" for _, layer in parts):
        return _sum_of_vectors(name, "norm", parts, ("w_norm", "b_norm"), {}), 0.0, 0.0
    weight = next((found for _, layer in parts if (found := base_weight(layer, place, base)) is not None), None)
    kernel = tuple(weight.shape[2:]) if weight is not None else _kernel(parts, place, family)
    factors = [(strength, exact_factors(layer, weight)) for strength, layer in parts]
    known = [(strength, each) for strength, each in factors if each is not None]
    biased = any("diff_b" in layer.tensors for _, layer in parts)
    if len(known) == len(parts) and not biased:
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
    if cut is not None and not biased:
        return _cut(name, spectrum_of(total), kernel, cut)
    whole = {"diff": total.reshape(total.shape[0], -1, *kernel)}
    return _sum_of_vectors(name, "full", parts, ("diff_b",), whole), 0.0, 0.0


def _cut(name: str, spectrum: Spectrum, kernel: tuple[int, ...], cut: Cut) -> tuple[Layer, float, float]:
    factors, lost = spectrum.cut(cut)
    return lora_layer(name, factors, kernel), lost, float(spectrum.values.square().sum())


def _kernel(parts: Sequence[tuple[float, Layer]], place: Place, family: str) -> tuple[int, ...]:
    """The kernel as a layer's own weights show it, else the one such a place has."""
    for _, layer in parts:
        for suffix in ("diff", "lora_mid.weight", "lora_down.weight", "hada_t1"):
            tensor = layer.get(suffix)
            if tensor is not None:
                return tuple(tensor.shape[2:])
    return kernel_of(place, family)


def _sum_of_vectors(
    name: str, algorithm: str, parts: Sequence[tuple[float, Layer]], suffixes: Iterable[str], tensors: dict[str, Tensor]
) -> Layer:
    for suffix in suffixes:
        found = [strength * layer.tensors[suffix] for strength, layer in parts if suffix in layer.tensors]
        if found:
            tensors[suffix] = torch.stack(found).sum(0)
    return Layer(name, algorithm, tensors)


def _metadata(sources: Sequence[Source], name: str, family: str) -> dict[str, str]:
    """The first source's, with the trigger words of all and where the file comes from."""
    first = sources[0][0].metadata
    phrases = [file.metadata.get("modelspec.trigger_phrase", "") for file, _ in sources]
    words = dict.fromkeys(word.strip() for phrase in phrases for word in phrase.split(",") if word.strip())
    names = ", ".join(f"{file.path.stem} ({weights.overall:g})" for file, weights in sources)
    told = {"modelspec.merged_from": names, "modelspec.trigger_phrase": ", ".join(words)}
    return renewed(first, name, family, DYNAMIC | {"ss_network_module": "networks.lora"} | told)


# --- into a checkpoint


def merge_into(base: Checkpoint, sources: Sequence[Source], output: Path, overwrite: bool = False) -> Merged:
    """The checkpoint with every source's difference added, in the precision and layout it has, tensor by tensor.

    Raises:
        PrepError: a source is for another model: shapes differ, or layers are missing.
    """
    claim(output, overwrite, folder=base.folder)
    if output.resolve() == base.path.resolve():
        raise PrepError(f"{output} is the checkpoint itself", "write to another --output")
    one_family(sources, base)
    places = gathered(sources, base, base.layers)
    changes = _changes(sources, places, base)
    if base.folder:
        _write_folder(base, sources, changes, output)
    else:
        _write_file(base.path, base, sources, changes, output)
    return Merged(output, len(places), {"weights changed": len(changes)}, 0.0)


Change = tuple[int, str, Place, str, Slot]
"""Source, layer, place, what of it (`weight` or `bias`), and where that lies."""


def _changes(
    sources: Sequence[Source], places: Mapping[Place, list[str]], base: Checkpoint
) -> dict[tuple[Path, str], list[Change]]:
    """What is to be added to each key of each file of the checkpoint."""
    found: dict[tuple[Path, str], list[Change]] = {}
    missing = []
    for place, names in places.items():
        for index, name in enumerate(names):
            if not name or sources[index][1].at(place, base.layers) == 0:
                continue
            suffixes = sources[index][0].outlines[name].keys
            wanted = [] if suffixes.keys() == {"b_norm"} else ["weight"]
            wanted += ["bias"] if suffixes.keys() & {"diff_b", "b_norm"} else []
            for what in wanted:
                slot = base.slot(place, what)
                if slot is None:
                    missing.append(f"{place.part}:{place.path}.{what}")
                else:
                    found.setdefault((slot.file, slot.key), []).append((index, name, place, what, slot))
    refuse_missing(missing, base.path)
    return found


def _write_file(
    file: Path,
    base: Checkpoint,
    sources: Sequence[Source],
    changes: Mapping[tuple[Path, str], list[Change]],
    output: Path,
) -> None:
    metadata, shapes, _, _ = read_header(file)
    with writing(output, hashed=False) as out, safe_open(file, framework="pt") as opened:
        for key in shapes:
            tensor = opened.get_tensor(key)
            if (file, key) in changes:
                tensor = changed(tensor, changes[file, key], sources, base.layers)
            out.add(key, tensor)
        merged = ", ".join(
            [base.path.stem, *(f"{source.path.stem} ({weights.overall:g})" for source, weights in sources)]
        )
        gone = ("modelspec.hash_sha256", "sshs_model_hash", "sshs_legacy_hash")
        out.metadata |= {key: value for key, value in metadata.items() if key not in gone}
        out.metadata["modelspec.merged_from"] = merged


def changed(tensor: Tensor, changes: Sequence[Change], sources: Sequence[Source], layers: int) -> Tensor:
    """The tensor with all its changes added in float32 and rounded once to its own precision.

    Raises:
        PrepError: a change has another shape, or the sum is too large for the precision.
    """
    whole = tensor.float().clone()
    before = tensor.float()
    for index, name, place, what, slot in changes:
        file, weights = sources[index]
        layer = file.layer(name)
        part = slot.part(whole)
        part += weights.at(place, layers) * _addition(layer, what, slot.part(before))
    rounded = whole.to(tensor.dtype)
    if not bool(torch.isfinite(rounded).all()):
        raise PrepError(
            f"{changes[0][1]} makes weights too large for {str(tensor.dtype).removeprefix('torch.')}",
            "merge into a checkpoint in fp32 or bf16, or with a smaller weight",
        )
    return rounded


def _addition(layer: Layer, what: str, weight: Tensor) -> Tensor:
    if what == "weight" and layer.algorithm != "norm":
        return difference(layer, weight)
    suffix = {"norm": {"weight": "w_norm", "bias": "b_norm"}[what]}.get(layer.algorithm, "diff_b")
    found = layer.tensors[suffix] if suffix in layer.tensors else torch.zeros_like(weight)
    if found.numel() != weight.numel():
        raise PrepError(
            f"{layer.name}.{suffix} has {found.numel()} values, the model {weight.numel()}",
            "take a model of the kind the adapter was trained on",
        )
    return found.reshape(weight.shape)


def _write_folder(
    base: Checkpoint, sources: Sequence[Source], changes: Mapping[tuple[Path, str], list[Change]], output: Path
) -> None:
    """Build the whole folder beside the output, then put it in place at once."""
    output.parent.mkdir(parents=True, exist_ok=True)
    made = output.parent / f".prep-{secrets.token_hex(8)}.tmp"
    touched = {file for file, _ in changes}
    try:
        for file in sorted(base.path.rglob("*")):
            target = made / file.relative_to(base.path)
            if file.is_dir():
                target.mkdir(parents=True, exist_ok=True)
            elif file in touched:
                _write_file(file, base, sources, changes, target)
            else:
                target.parent.mkdir(parents=True, exist_ok=True)
                shutil.copyfile(file, target)
        replace_folder(made, output)
    finally:
        shutil.rmtree(made, ignore_errors=True)
