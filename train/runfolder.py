"""The folder of a run: what is there before it begins, and what is left when it has ended."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pipeline.files import write_text
from train.base import BaseModel
from train.batches import total_steps
from train.figures import pictures_csv, read_figures
from train.job import Job
from train.milestones import Place
from train.recipe import recipe_values
from train.runfile import RUN, differences, finish_run, note_snapshots, pictures_of, read_run, write_run
from train.snapshots import Snapshot, from_rows, refuse_foreign
from train.state import load_state
from train.team import Team
from train.watch import Watch


@dataclass(frozen=True, slots=True)
class Opened:
    """`snapshots` of the run that is taken up, none of one that begins anew; `notes` say how it differs from the run it
    does again."""

    snapshots: list[Snapshot]
    notes: tuple[str, ...]


def open_folder(job: Job, base: BaseModel, digest: str, team: Team) -> Opened:
    """Take up what is there of this very run, or clear what an earlier one of the same name left, and write run.json.

    Raises:
        PrepError: files are in the way that no run has written, or that were changed since.
    """
    snapshots = _snapshots(job.folder)
    resuming = load_state(job.folder / "state.safetensors", digest) is not None
    team.wait()  # until every process has looked
    pictures = pictures_of((*job.training, *job.held))
    if team.leads:
        job.folder.mkdir(parents=True, exist_ok=True)
        if not resuming:
            refuse_foreign(job.folder, job.recipe.name, {snapshot.file: snapshot.sha256 for snapshot in snapshots})
            for snapshot in snapshots:
                (job.folder / snapshot.file).unlink(missing_ok=True)
        write_run(
            job.folder,
            settings=recipe_values(job.recipe),
            origins=job.origins,
            versions=job.versions,
            base={"name": base.name, "revision": job.recipe.revision, "digest": base.digest},
            device=described_device(base.device),
            steps=total_steps(job.recipe, job.training),
            pictures=pictures,
            digest=job.digest,
            held=[example.entry.key for example in job.held],
            remarks=job.remarks,
        )
        note_snapshots(job.folder, snapshots if resuming else [])
    replayed = job.recipe.replay
    notes = tuple(differences(replayed, read_run(job.folder / RUN), pictures)) if replayed and team.leads else ()
    return Opened(snapshots if resuming else [], tuple(f"other than in {replayed}: {note}" for note in notes))


def _snapshots(folder: Path) -> list[Snapshot]:
    return from_rows(read_run(folder / RUN)["snapshots"]) if (folder / RUN).is_file() else []


def described_device(device: Any) -> str:
    """A device in words: the CPU, or a GPU's name."""
    import torch

    return torch.cuda.get_device_name(device) if device.type == "cuda" else str(device)


def close_folder(job: Job, watch: Watch, place: Place, seconds: float) -> None:
    """Write down what came of the run."""
    pictures = {example.entry.key: example for example in job.training}
    rows = {
        key: {"concept": example.concept, "multiplier": example.entry.multiplier} for key, example in pictures.items()
    }
    pictures_csv(job.folder / "pictures.csv", read_figures(job.folder / "log.jsonl"), rows)
    last = next(snapshot for snapshot in watch.snapshots if snapshot.file == f"{job.recipe.name}.safetensors")
    best = next((snapshot for snapshot in watch.snapshots if snapshot.best), None)
    finish_run(
        job.folder,
        steps=place.step,
        epochs=place.epoch,
        ended="no better look for so long" if watch.enough else "as planned",
        sha256=last.sha256,
        best=best.file if best else None,
        seconds=round(seconds, 1),
    )
    write_text(
        job.folder / "recipe.json", json.dumps(recipe_values(job.recipe), indent=2, ensure_ascii=False) + "\n"
    )
