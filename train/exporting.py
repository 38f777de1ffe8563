"""An adapter's file in the form that the programs it is for render as it was trained."""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from pathlib import Path

import torch
from torch import Tensor

from train.adapter import by_layer
from train.adapterfiles.checkpoints import open_checkpoint
from train.adapterfiles.convert import TARGETS, convert_file
from train.adapterfiles.layer import Layer, algorithm_of
from train.adapterfiles.mergedmodel import merge_into
from train.adapterfiles.reading import open_adapter
from train.adapterfiles.weights import Weights
from train.clients.table import objection
from train.metadata import write_adapter

AS_TRAINED = "as-trained"


def export_adapter(
    file: Path,
    tensors: Mapping[str, Tensor],
    metadata: Mapping[str, str],
    target: str,
    dtype: torch.dtype,
    base: Path,
) -> None:
    """Write an adapter, rewritten exactly where a program it is for could not show it.

    Args:
        tensors: as trained, float32.
        target: `as-trained`, or a name of `TARGETS`.
        dtype: of the file.
        base: the base model's folder or file, which some rewriting needs.
    Raises:
        PrepError: the target cannot show it in any form.
    """
    if target == AS_TRAINED or rendered(tensors, target):
        write_adapter(file, {key: value.to(dtype) for key, value in tensors.items()}, dict(metadata))
        return
    part = f".prep-{secrets.token_hex(8)}.tmp"
    native, made = file.with_name(f"{part}.native"), file.with_name(part)
    try:
        write_adapter(native, dict(tensors), dict(metadata))
        convert_file(open_adapter(native), made, target, open_checkpoint(base), dtype)
        made.replace(file)
    finally:
        native.unlink(missing_ok=True)
        made.unlink(missing_ok=True)


def rendered(tensors: Mapping[str, Tensor], target: str) -> bool:
    """Whether all programs of a target show every layer as it was trained."""
    for name, own in by_layer(tensors).items():
        algorithm = algorithm_of({key: tuple(value.shape) for key, value in own.items()})
        assert algorithm is not None, f"{name} is of an algorithm of ours"
        layer = Layer(name, algorithm, dict(own))
        if any(objection(client, layer) for client in TARGETS[target]):
            return False
    return True


def write_checkpoint(base: Path, adapter: Path, output: Path) -> None:
    """Write the base model with an adapter merged in: a folder from a folder, a file from a file."""
    merge_into(open_checkpoint(base), [(open_adapter(adapter), Weights())], output, overwrite=True)
