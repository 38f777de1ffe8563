"""The folder of a run: what is there before it begins, and what is left when it has ended."""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from pipeline.core.files import write_text
from pipeline.core.flat import flat
from pipeline.store.training_log import images_csv, read_figures
from train.adapters.export import merged_path, refuse_foreign_model, stamps
from train.data.batches import total_steps
from train.distributed.world import World
from train.evaluation.validation_history import FILE as LOOKS
from train.job import Job
from train.models.base import BaseModel
from train.options.recipe import recipe_values
from train.run.callbacks import Watch
from train.run.milestones import Progress
from train.run.resume_state import saved_step
from train.run.run_record import RUN, differences, finish_run, images_of, note_snapshots, read_run, write_run
from train.run.snapshots import Snapshot, from_rows, refuse_foreign

STATE = "state.safetensors"
GRID = ("validation_images", "validation_times", "validation_noises", "seed")
"""Options that decide what is looked at."""


@dataclass(frozen=True, slots=True)
class Opened:
    """`start` is the step that the run goes on from, `snapshots` are those it has already, none of one that begins anew;
    `notes` are to be minded, `differences` say how it differs from the run it does again."""

    start: int
    snapshots: list[Snapshot]
    notes: tuple[str, ...]
    differences: tuple[str, ...] = ()


def refuse_lost(job: Job, base: BaseModel, digest: str) -> None:
    """See that a run that begins anew writes over nothing but what an earlier run of its name wrote, as it left it.

    Raises:
        PrepError: files are in the way that no run has written, or that were changed since.
    """
    if saved_step(job.folder / STATE, digest) is not None:
        return
    if job.recipe.saving.save_checkpoint:
        merged = merged_path(job.folder / f"{job.recipe.run.name}.safetensors", base.folder)
        refuse_foreign_model(merged, _result(job.folder).get("merged", {}))
    known = {snapshot.file: snapshot.sha256 for snapshot in _snapshots(job.folder)}
    refuse_foreign(job.folder, job.recipe.run.name, known)


def open_folder(job: Job, base: BaseModel, digest: str, team: World) -> Opened:
    """Take up what is there of this very run, or clear what an earlier one of the same name left, and write run.json."""
    snapshots = _snapshots(job.folder)
    start = saved_step(job.folder / STATE, digest)
    resuming = start is not None
    team.wait()  # until every process has looked
    images = images_of((*job.training, *job.held))
    notes = _forget_other_looks(job) if resuming and team.leads else []
    if notes:
        snapshots = [replace(snapshot, validation=None, best=False) for snapshot in snapshots]
    if team.leads:
        job.folder.mkdir(parents=True, exist_ok=True)
        if not resuming:
            for snapshot in snapshots:
                (job.folder / snapshot.file).unlink(missing_ok=True)
        write_run(
            job.folder,
            settings=recipe_values(job.recipe),
            origins=job.origins,
            versions=job.versions,
            base={"name": base.name, "revision": job.recipe.model.revision, "digest": base.digest},
            device=described_device(base.device),
            steps=total_steps(job.recipe, job.training),
            images=images,
            digest=job.digest,
            held=[example.entry.key for example in job.held],
            remarks=job.remarks,
        )
        note_snapshots(job.folder, snapshots if resuming else [])
    replayed, others = job.recipe.run.replay, list[str]()
    if replayed and team.leads:
        found = differences(replayed, read_run(job.folder / RUN), images)
        others = [f"other than in {replayed}: {note}" for note in found]
    team.wait()  # until the leader has put away what the others would read
    return Opened(start or 0, snapshots if resuming else [], tuple(notes), tuple(others))


def _forget_other_looks(job: Job) -> list[str]:
    """Looks on another grid cannot be compared with those to come: put them away, and say so."""
    looks = job.folder / LOOKS
    if not (looks.is_file() and (job.folder / RUN).is_file()):
        return []
    now, then = flat(job.recipe), {key: row["value"] for key, row in read_run(job.folder / RUN)["settings"].items()}
    other = [key for key in GRID if then.get(key) != now[key]]
    if not other:
        return []
    kept = looks.with_name(f"{looks.stem} before{looks.suffix}")
    looks.replace(kept)
    return [f"{', '.join(other)} changed, so earlier looks at the validation loss do not count; they are in {kept}"]


def _result(folder: Path) -> dict[str, Any]:
    return dict(read_run(folder / RUN)["result"]) if (folder / RUN).is_file() else {}


def _snapshots(folder: Path) -> list[Snapshot]:
    return from_rows(read_run(folder / RUN)["snapshots"]) if (folder / RUN).is_file() else []


def described_device(device: Any) -> str:
    """A device in words: the CPU, or a GPU's name."""
    import torch

    return torch.cuda.get_device_name(device) if device.type == "cuda" else str(device)


def close_folder(job: Job, watch: Watch, place: Progress, seconds: float, merged: Path | None) -> tuple[str, ...]:
    """Write down what came of the run; returns how its weights compare with those of the run that it does again."""
    images = {example.entry.key: example for example in job.training}
    rows = {key: {"concept": example.concept, "repeats": example.entry.repeats} for key, example in images.items()}
    images_csv(job.folder / "images.csv", read_figures(job.folder / "log.jsonl"), rows)
    last = next(snapshot for snapshot in watch.snapshots if snapshot.file == f"{job.recipe.run.name}.safetensors")
    best = next((snapshot for snapshot in watch.snapshots if snapshot.best), None)
    finish_run(
        job.folder,
        steps=place.step,
        epochs=place.epoch,
        ended="no better look for so long" if watch.enough else "as planned",
        sha256=last.sha256,
        weights=weights_hash(job.folder / last.file),
        best=best.file if best else None,
        merged=stamps(merged) if merged else {},
        seconds=round(seconds, 1),
    )
    write_text(job.folder / "recipe.json", json.dumps(recipe_values(job.recipe), indent=2, ensure_ascii=False) + "\n")
    return _compared(job, last.file)


def _compared(job: Job, made: str) -> tuple[str, ...]:
    if not job.recipe.run.replay:
        return ()
    document = read_run(job.recipe.run.replay)
    before = job.recipe.run.replay.parent / f"{document['settings']['name']['value']}.safetensors"
    then, now = document["result"].get("weights"), weights_hash(job.folder / made)
    if then is None:
        return (f"the run of {job.recipe.run.replay} had not ended, so there are no weights to compare",)
    if then == now:
        return (f"the weights are the same to the bit as those of {before}",)
    return (f"the weights are others than those of {before}",)


def weights_hash(file: Path) -> str:
    """The hash that an adapter file carries of its weights alone, whatever its metadata say."""
    from safetensors import safe_open

    with safe_open(file, framework="pt") as stored:
        return str(stored.metadata()["sshs_model_hash"])
