"""The folder of a run: what is there before it begins, and what is left when it has ended."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from pipeline.store.training_log import images_csv, read_figures
from train.adapters.export import refuse_foreign_model, stamps
from train.data.dataset import Example
from train.data.progress import Progress
from train.distributed.world import World
from train.evaluation.validation_history import FILE as LOOKS
from train.run.callbacks import RunCallbacks
from train.run.resume_state import saved_step
from train.run.run_record import RUN, STATE, RunStart, differences, finish_run, note_snapshots, read_run, write_run
from train.run.snapshots import Snapshot, from_rows, refuse_foreign

GRID = ("validation_images", "validation_times", "validation_noise_samples", "seed")
"""Options that decide what is evaluated."""


@dataclass(frozen=True, slots=True)
class Opened:
    """`start` is the step that the run goes on from, `snapshots` are those it has already, none of one that begins anew;
    `warnings` are to be minded, `differences` say how it differs from the run it does again."""

    start: int
    snapshots: list[Snapshot]
    warnings: tuple[str, ...]
    differences: tuple[str, ...] = ()


def refuse_lost(folder: Path, name: str, digest: str, merged: Path | None) -> None:
    """See that a run that begins anew writes over nothing but what an earlier run of its name wrote, as it left it.

    Args:
        merged: where the base model with the adapter merged in will be written, if it will.
    Raises:
        PrepError: files are in the way that no run has written, or that were changed since.
    """
    if saved_step(folder / STATE, digest) is not None:
        return
    if merged is not None:
        refuse_foreign_model(merged, _result(folder).get("merged", {}))
    known = {snapshot.file: snapshot.sha256 for snapshot in _snapshots(folder)}
    refuse_foreign(folder, name, known)


def open_folder(folder: Path, run: RunStart, digest: str, world: World, replayed: Path | None) -> Opened:
    """Resume what is there of this very run, or clear what an earlier one of the same name left, and write run.json.

    Args:
        digest: of the state that can be resumed.
        replayed: run.json of the run that is done again.
    """
    snapshots = _snapshots(folder)
    start = saved_step(folder / STATE, digest)
    resuming = start is not None
    world.wait()  # until every process has read it
    warnings = _forget_other_looks(folder, run.settings) if resuming and world.is_main_process else []
    if warnings:
        snapshots = [replace(snapshot, validation=None, best=False) for snapshot in snapshots]
    if world.is_main_process:
        folder.mkdir(parents=True, exist_ok=True)
        if not resuming:
            for snapshot in snapshots:
                (folder / snapshot.file).unlink(missing_ok=True)
        write_run(folder, run)
        note_snapshots(folder, snapshots if resuming else [])
    others = list[str]()
    if replayed and world.is_main_process:
        found = differences(replayed, read_run(folder / RUN), run.images)
        others = [f"other than in {replayed}: {note}" for note in found]
    world.wait()  # until the leader has put away what the others would read
    return Opened(start or 0, snapshots if resuming else [], tuple(warnings), tuple(others))


def _forget_other_looks(folder: Path, now: Mapping[str, Any]) -> list[str]:
    """Validations on another grid cannot be compared with those to come: put them away, and say so."""
    evaluations = folder / LOOKS
    if not (evaluations.is_file() and (folder / RUN).is_file()):
        return []
    then = {key: row["value"] for key, row in read_run(folder / RUN)["settings"].items()}
    other = [key for key in GRID if then.get(key) != now[key]]
    if not other:
        return []
    kept = evaluations.with_name(f"{evaluations.stem} before{evaluations.suffix}")
    evaluations.replace(kept)
    return [f"{', '.join(other)} changed, so earlier validations are not comparable; they are in {kept}"]


def _result(folder: Path) -> dict[str, Any]:
    return dict(read_run(folder / RUN)["result"]) if (folder / RUN).is_file() else {}


def _snapshots(folder: Path) -> list[Snapshot]:
    return from_rows(read_run(folder / RUN)["snapshots"]) if (folder / RUN).is_file() else []


def close_folder(
    folder: Path, training: Sequence[Example], watch: RunCallbacks, now: Progress, seconds: float, merged: Path | None
) -> None:
    """Write down what came of the run; `merged` is the base model with the adapter merged in, where that was written."""
    images = {example.entry.key: example for example in training}
    rows = {key: {"concept": example.concept, "repeats": example.entry.repeats} for key, example in images.items()}
    images_csv(folder / "images.csv", read_figures(folder / "log.jsonl"), rows)
    last = next(snapshot for snapshot in watch.snapshots if snapshot.file == f"{watch.name}.safetensors")
    best = next((snapshot for snapshot in watch.snapshots if snapshot.best), None)
    finish_run(
        folder,
        steps=now.step,
        epochs=now.epoch,
        ended="no better look for so long" if watch.enough else "as planned",
        sha256=last.sha256,
        weights=weights_hash(folder / last.file),
        best=best.file if best else None,
        merged=stamps(merged) if merged else {},
        seconds=round(seconds, 1),
    )


def compared(replayed: Path, made: Path) -> str:
    """How the weights of an adapter compare with those of the run that was done again."""
    document = read_run(replayed)
    before = replayed.parent / f"{document['settings']['name']['value']}.safetensors"
    then, now = document["result"].get("weights"), weights_hash(made)
    if then is None:
        return f"the run of {replayed} had not ended, so there are no weights to compare"
    if then == now:
        return f"the weights are the same to the bit as those of {before}"
    return f"the weights are others than those of {before}"


def weights_hash(file: Path) -> str:
    """The hash that an adapter file carries of its weights alone, whatever its metadata say."""
    from safetensors import safe_open

    with safe_open(file, framework="pt") as stored:
        return str(stored.metadata()["sshs_model_hash"])
