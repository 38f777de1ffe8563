"""An adapter's file in the form that the programs it is for render as it was trained."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import torch
from torch import Tensor

from pipeline.core.errors import PrepError
from pipeline.core.files import beside
from train.adapters.files.checkpoints import open_checkpoint
from train.adapters.files.client_support import incompatibility
from train.adapters.files.layer import Layer
from train.adapters.files.one_alpha import misread_alphas
from train.adapters.files.reader import open_adapter
from train.adapters.files.weights import Weights
from train.adapters.metadata import write_adapter
from train.adapters.names.client_keys import TARGETS, text_attentions_without_output
from train.adapters.names.kohya_names import by_layer
from train.adapters.operations.convert import convert_file
from train.adapters.operations.merged_model import merge_into
from train.adapters.registry import kind_of

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
    with beside(file) as room:
        native, made = room / "as-trained.safetensors", room / file.name
        write_adapter(native, dict(tensors), dict(metadata))
        convert_file(open_adapter(native), made, target, open_checkpoint(base), dtype)
        made.replace(file)


def rendered(tensors: Mapping[str, Tensor], target: str) -> bool:
    """Whether all programs of a target show every layer as it was trained."""
    alphas = {}
    for name, own in by_layer(tensors).items():
        kind = kind_of({key: tuple(value.shape) for key, value in own.items()})
        assert kind is not None, f"{name} is of an algorithm of ours"
        layer = Layer(name, kind.name, own)
        if any(incompatibility(client, layer) for client in TARGETS[target]):
            return False
        alphas[name] = layer.alpha
    return target != "diffusers" or not (misread_alphas(alphas) or text_attentions_without_output(alphas))


def merged_path(adapter: Path, base: Path) -> Path:
    """Where the base model with an adapter merged in goes: a folder from a folder, a file from a file."""
    return adapter.with_name(f"merged-{adapter.stem}{'' if base.is_dir() else '.safetensors'}")


def stamps(merged: Path) -> dict[str, str]:
    """Size and modification time of every file of a merged model, by its path in it; of none, none."""
    files = [merged] if merged.is_file() else sorted(path for path in merged.rglob("*") if path.is_file())
    return {
        file.relative_to(merged.parent).as_posix(): f"{file.stat().st_size}:{file.stat().st_mtime_ns}" for file in files
    }


def refuse_foreign_model(merged: Path, known: Mapping[str, str]) -> None:
    """See that nothing is written over but the merged model that an earlier run wrote, as it left it.

    Raises:
        PrepError: something else lies there.
    """
    if merged.exists() and stamps(merged) != known:
        raise PrepError(
            f"save_checkpoint would write over {merged}, which no run has written or which was changed since",
            "move it away, or give the run another name",
        )


def write_merged(base: Path, adapter: Path) -> Path:
    """Write the base model with an adapter merged in, beside the adapter, in the precision and layout that the base has."""
    output = merged_path(adapter, base)
    merge_into(open_checkpoint(base), [(open_adapter(adapter), Weights())], output, overwrite=True)
    return output
