"""A checkpoint with adapters' differences added to its weights, in the layout and precision it has."""

from __future__ import annotations

import secrets
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path

import torch
from torch import Tensor

from pipeline.core.errors import PrepError
from train.adapters.files.checkpoints import Checkpoint, Slot
from train.adapters.files.delta import difference
from train.adapters.files.layer import Layer
from train.adapters.files.writer import claim, replace_folder, writing
from train.adapters.metadata import HASHES, without_paths
from train.adapters.names.kohya_names import LayerPath
from train.adapters.operations.merge import Merged, Source, gathered, one_family, refuse_missing
from train.models.families.key_map import Blocks

Change = tuple[int, str, LayerPath, str, Slot]
"""Source, layer, its path, what of it (`weight` or `bias`), and where that lies."""


def merge_into(base: Checkpoint, sources: Sequence[Source], output: Path, overwrite: bool = False) -> Merged:
    """The checkpoint with every source's difference added, in the precision and layout it has, tensor by tensor.

    Raises:
        PrepError: a source is for another model: shapes differ, or layers are missing.
    """
    claim(output, overwrite, folder=base.folder)
    if base.path.resolve() in (output.resolve(), *output.resolve().parents):
        raise PrepError(f"{output} is the checkpoint itself, or in it", "write to another --output")
    one_family(sources, base)
    layer_paths = gathered(sources, base)
    changes = _changes(sources, layer_paths, base)
    if any(weights.scaled for weights in base.files.values()):
        raise PrepError(
            f"{base.path} is stored in 8 bits with a scale for each weight, which a sum would not fit",
            "merge into the model in fp16, bf16 or fp32",
        )
    if base.folder:
        _write_folder(base, sources, changes, output)
    else:
        _write_file(base.path, base, sources, changes, output)
    return Merged(output, len(layer_paths), {"weights changed": len(changes)}, 0.0)


def _changes(
    sources: Sequence[Source], layer_paths: Mapping[LayerPath, list[str]], base: Checkpoint
) -> dict[tuple[Path, str], list[Change]]:
    """What is to be added to each key of each file of the checkpoint."""
    found: dict[tuple[Path, str], list[Change]] = {}
    missing = []
    for layer_path, names in layer_paths.items():
        for index, name in enumerate(names):
            if not name or sources[index][1].at(layer_path, base.blocks) == 0:
                continue
            outline = sources[index][0].outlines[name]
            bias = outline.kind.keys.bias
            wanted = ["weight"] if outline.keys.keys() - {bias} else []
            for what in [*wanted, "bias"] if bias in outline.keys else wanted:
                slot = base.slot(layer_path, what)
                if slot is None:
                    missing.append(f"{layer_path.part}:{layer_path.path}.{what}")
                else:
                    found.setdefault((slot.file, slot.key), []).append((index, name, layer_path, what, slot))
    refuse_missing(missing, base.path)
    return found


def _write_file(
    file: Path,
    base: Checkpoint,
    sources: Sequence[Source],
    changes: Mapping[tuple[Path, str], list[Change]],
    output: Path,
) -> None:
    weights = base.files[file]
    with writing(output, hashed=False) as out:
        for key in weights.shapes:
            tensor = weights.tensor(key)
            if (file, key) in changes:
                tensor = changed(tensor, changes[file, key], sources, base.blocks)
            out.add(key, tensor)
        merged = ", ".join([base.path.stem, *(f"{source.path.stem} ({each.overall:g})" for source, each in sources)])
        out.metadata |= {key: value for key, value in without_paths(weights.metadata).items() if key not in HASHES}
        out.metadata["modelspec.merged_from"] = merged


def changed(tensor: Tensor, changes: Sequence[Change], sources: Sequence[Source], blocks: Blocks) -> Tensor:
    """The tensor with all its changes added in float32 and rounded once to its own precision.

    Raises:
        PrepError: a change has another shape, or the sum is too large for the precision.
    """
    whole = tensor.float().clone()
    before = tensor.float()
    for index, name, layer_path, what, slot in changes:
        file, weights = sources[index]
        layer = file.layer(name)
        part = slot.part(whole)
        part += weights.at(layer_path, blocks) * _addition(layer, what, slot.part(before))
    rounded = whole.to(tensor.dtype)
    if not bool(torch.isfinite(rounded).all()):
        raise PrepError(
            f"{changes[0][1]} makes weights too large for {str(tensor.dtype).removeprefix('torch.')}",
            "merge into a checkpoint in fp32 or bf16, or with a smaller weight",
        )
    return rounded


def _addition(layer: Layer, what: str, weight: Tensor) -> Tensor:
    if what == "weight":
        return difference(layer, weight)
    found = layer.bias
    assert found is not None, "its key is in the file"
    if found.numel() != weight.numel():
        raise PrepError(
            f"{layer.name}.{layer.kind.keys.bias} has {found.numel()} values, the model {weight.numel()}",
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
