"""Adapters saved while training, under the names that kohya-ss/sd-scripts gives them: NAME-000003.safetensors after the
third epoch, NAME-step00000500.safetensors after 500 batches."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from pipeline.core.errors import PrepError
from pipeline.core.files import file_digest


@dataclass(frozen=True, slots=True)
class Snapshot:
    """One file of a run's folder: `validation` is the loss it was found to have, if it was evaluated."""

    file: str
    step: int
    epoch: int
    sha256: str
    validation: float | None = None
    best: bool = False

    def row(self) -> dict[str, Any]:
        return asdict(self)


def snapshot_name(name: str, step: int, epoch: int, ends_epoch: bool) -> str:
    """The file of a snapshot after `step` batches, at the end of the `epoch`-th epoch or within it."""
    return f"{name}-{epoch:06d}.safetensors" if ends_epoch else f"{name}-step{step:08d}.safetensors"


def from_rows(rows: Sequence[Mapping[str, Any]]) -> list[Snapshot]:
    return [Snapshot(**row) for row in rows]


def with_best(snapshots: Sequence[Snapshot]) -> list[Snapshot]:
    """Mark the one with the lowest validation loss, the earliest of equals; none where none was evaluated."""
    evaluated = [snapshot for snapshot in snapshots if snapshot.validation is not None]
    best = min(evaluated, key=lambda snapshot: (snapshot.validation, snapshot.step), default=None)
    return [replace(snapshot, best=best is not None and snapshot.step == best.step) for snapshot in snapshots]


def thinned(snapshots: Sequence[Snapshot], keep_last: int) -> tuple[list[Snapshot], list[Snapshot]]:
    """(kept, to be removed): the last `keep_last` and the best are kept, with 0 all."""
    if not keep_last:
        return list(snapshots), []
    kept = [snapshot for snapshot in snapshots[:-keep_last] if snapshot.best] + list(snapshots[-keep_last:])
    return kept, [snapshot for snapshot in snapshots if snapshot not in kept]


def refuse_foreign(folder: Path, name: str, known: Mapping[str, str]) -> None:
    """See that a run which begins anew writes over no file but those an earlier run of its name wrote.

    Args:
        known: file name → SHA-256 of what that run wrote.
    Raises:
        PrepError: an adapter in the folder is not one of them, or was changed since.
    """
    foreign = [
        file
        for file in sorted(folder.glob("*.safetensors"))
        if file.name != "state.safetensors"
        and (file.stem == name or file.name.startswith(f"{name}-"))
        and known.get(file.name) != file_digest(file)
    ]
    if foreign:
        named = ", ".join(str(file) for file in foreign)
        raise PrepError(
            f"training would write over what it has not written itself, or what was changed since: {named}",
            f"move it away, or give the run another name: --name {name}-2",
        )
