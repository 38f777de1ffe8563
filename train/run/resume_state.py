"""The state of a run on disk: enough to go on exactly where it was, in one safetensors file and no pickle."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from pipeline.core.errors import PrepError
from pipeline.core.files import replacing


@dataclass(frozen=True, slots=True)
class State:
    """`step` batches are done; `parts` are trees of dicts, lists, tuples, tensors and plain values."""

    step: int
    parts: dict[str, Any]


@dataclass(frozen=True, slots=True)
class StateFile:
    """Where a run's state lies, and the digest that names the run it belongs to."""

    path: Path
    digest: str


def save_state(file: Path, state: State, digest: str) -> None:
    """Write a state; a kill leaves the one before or this one. `digest` names the run that it belongs to.

    Raises:
        PrepError: the disk has no room for it, or cannot be written to; the state before is kept.
    """
    tensors: dict[str, Tensor] = {}
    tree = _packed(state.parts, tensors, {})
    metadata = {"step": str(state.step), "digest": digest, "tree": json.dumps(tree)}
    with replacing(file, sum(tensor.nbytes for tensor in tensors.values())) as temporary:
        try:
            save_file(tensors, temporary, metadata)
        except SafetensorError as error:  # which says only in its text what the system said
            raise PrepError(
                f"the state of the run cannot be written to {file}: {error}",
                "make room on the disk and run the same again; the state before it is kept",
            ) from error


def saved_step(file: Path, digest: str) -> int | None:
    """The step of the saved state without its tensors; None where there is none, or where it is of another run.

    Raises:
        PrepError: the file is damaged.
    """
    if not file.exists():
        return None
    try:
        with safe_open(file, framework="pt") as stored:
            meta = stored.metadata() or {}
        return int(meta["step"]) if meta.get("digest") == digest else None
    except (SafetensorError, OSError, KeyError, ValueError) as error:
        raise _damaged(file, error) from error


def load_state(file: Path, digest: str) -> State | None:
    """The saved state, its tensors on the CPU; None where there is none, or where it is of another run.

    Raises:
        PrepError: the file is damaged.
    """
    if not file.exists():
        return None
    try:
        with safe_open(file, framework="pt") as stored:
            meta = stored.metadata() or {}
            if meta.get("digest") != digest:
                return None
            tensors = {key: stored.get_tensor(key) for key in stored.keys()}  # noqa: SIM118
        return State(int(meta["step"]), _unpacked(json.loads(meta["tree"]), tensors))
    except (SafetensorError, OSError, KeyError, ValueError) as error:
        raise _damaged(file, error) from error


def _damaged(file: Path, error: Exception) -> PrepError:
    return PrepError(
        f"the state of the run cannot be read from {file}: {error}", f"delete {file} to train from the start"
    )


def _packed(part: Any, tensors: dict[str, Tensor], seen: dict[tuple[Any, ...], str]) -> Any:
    """A tree as JSON can hold it, its tensors put aside under numbers; one that stands in two places is kept once.

    Containers become {"dict": [[key, value], …]}, {"list": …}, {"tuple": …}: keys keep their type, tuples stay tuples.
    """
    if isinstance(part, Tensor):
        same = (part.data_ptr(), part.dtype, tuple(part.shape), part.stride(), part.device)
        name = seen.setdefault(same, str(len(tensors)))
        tensors.setdefault(name, part.detach().cpu().contiguous())
        return {"tensor": name}
    if isinstance(part, dict):
        return {"dict": [[key, _packed(value, tensors, seen)] for key, value in part.items()]}
    if isinstance(part, list | tuple):
        kind = "list" if isinstance(part, list) else "tuple"
        return {kind: [_packed(value, tensors, seen) for value in part]}
    assert part is None or isinstance(part, bool | int | float | str), f"no state can hold a {type(part).__name__}"
    return part


def _unpacked(part: Any, tensors: dict[str, Tensor]) -> Any:
    if not isinstance(part, dict):
        return part
    ((kind, held),) = part.items()
    if kind == "tensor":
        return tensors[held]
    if kind == "dict":
        return {key: _unpacked(value, tensors) for key, value in held}
    values = [_unpacked(value, tensors) for value in held]
    return values if kind == "list" else tuple(values)


def finite(weights: Sequence[Tensor]) -> bool:
    """Whether every number of all the weights is finite; waits for the device once."""
    return bool(torch.stack([weight.isfinite().all() for weight in weights]).all())
