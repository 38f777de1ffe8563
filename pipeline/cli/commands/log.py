"""List the runs, and what was decided about each image and why."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import click

from pipeline.cli import console
from pipeline.cli.set_folder import SET
from pipeline.config import registry
from pipeline.core.errors import PrepError
from pipeline.core.filenames import fits_pattern
from pipeline.store.history.undo import NAME as UNDO
from pipeline.store.image_files import EDITS
from pipeline.store.manifest import Manifest
from pipeline.store.records import Decision, Run
from pipeline.store.wording import counted, phrase


@click.command(short_help="List the runs, and what was decided about each image and why.")
@click.argument("root", metavar="SET", type=SET)
@click.option("--image", help="Only images whose path or source contains this or matches this pattern.")
@click.option("--concept", help="Only images of this concept and the ones below it.")
@click.option(
    "--stage",
    type=click.Choice([*(entry.name for entry in registry.STAGES), EDITS, "tags", "review", UNDO, "export"]),
    metavar="STAGE",
    help=f"Only this stage; {EDITS} are captions and images edited by hand; tags, {UNDO} and export are runs too.",
)
@click.option("--run", "number", type=int, help="Only the decisions of this run that still hold.")
@click.option("--reason", help="Only decisions whose reason contains this.")
@click.option(
    "--limit", type=click.IntRange(min=0), default=50, show_default=True, help="Most decisions shown; 0 shows all."
)
@click.option("as_json", "--json", is_flag=True, help="Print one JSON document to stdout.")
def command(root: Path, limit: int, as_json: bool, **values: Any) -> None:
    """List the runs, and what was decided about each image and why.

    Without a filter only the runs are listed; with one, the decisions that hold now. To see what a run changed, also
    where a later one changed it again: `prep diff SET RUN`.
    """
    wanted = Filter(**values)
    with Manifest.open(root) as manifest:
        runs = _runs(manifest, wanted)
        found = _decisions(manifest, wanted, runs) if wanted.is_given or as_json else ()
        shown, left = console.selected(found, limit)
    if as_json:
        console.print_json(
            {
                "runs": [asdict(run) for run in runs],
                "left_off": left,
                "decisions": [{"stage": name, **console.decision_json(decision)} for name, decision in shown],
            }
        )
        return
    if wanted.only_stage:
        console.print_table([_run_row(run) for run in runs])
    for name, decision in shown:
        click.echo(console.printable(f"{name}: {console.decision_line(decision)}"))
    if left:
        console.say(f"… and {left} more; --limit 0 shows all")
    if wanted.is_given and not shown:
        console.say("no decision matches")


@dataclass(frozen=True, slots=True)
class Filter:
    """Which decisions are meant; what is not given matches everything."""

    image: str | None
    concept: str | None
    stage: str | None
    number: int | None
    """Of a run."""
    reason: str | None

    @property
    def is_given(self) -> bool:
        return bool(self.stage) or not self.only_stage

    @property
    def only_stage(self) -> bool:
        """Whether nothing but a stage is asked for, or nothing at all."""
        return not (self.image or self.concept or self.reason) and self.number is None


def _runs(manifest: Manifest, wanted: Filter) -> list[Run]:
    """The runs of the stage and the number that are asked for.

    Raises:
        PrepError: there is no run of that number.
    """
    runs = [run for run in manifest.runs() if wanted.stage in (None, run.stage) and wanted.number in (None, run.id)]
    if wanted.number is not None and not runs:
        of_stage = f" of {wanted.stage}" if wanted.stage else ""
        raise PrepError(f"there is no run {wanted.number}{of_stage}", f"list them with: prep log {manifest.root}")
    return runs


def _decisions(manifest: Manifest, wanted: Filter, runs: Sequence[Run]) -> Iterator[tuple[str, Decision]]:
    """(stage, decision) for those that match; a decision about a source file counts for its image."""
    stages = {run.id: run.stage for run in manifest.runs()}
    numbers = {run.id for run in runs}
    every_run = wanted.stage is None and wanted.number is None
    images = manifest.images()
    concepts = {image.path: image.concept for image in images} | {image.source: image.concept for image in images}
    sources = {image.source: image.path for image in images}

    def fits(decision: Decision) -> bool:
        inside = concepts.get(decision.path)
        concept, image = wanted.concept, wanted.image
        if concept is not None and not (inside is not None and (inside + "/").startswith(concept + "/")):
            return False
        names = (decision.path, sources.get(decision.path, decision.path))
        return image is None or any(image in name or fits_pattern(name, image) for name in names)

    return (
        (stages.get(run, ""), decision)
        for run, decision in manifest.all_decisions()
        if (every_run or run in numbers) and _says(decision, wanted.reason or "") and fits(decision)
    )


def _says(decision: Decision, reason: str) -> bool:
    """Whether a decision's reason has this in its words, or is this code."""
    return reason in phrase(decision) or reason == decision.reason


def _run_row(run: Run) -> dict[str, object]:
    counts = ", ".join(f"{number} {counted(key)}" for key, number in run.counts.items())
    return {
        "run": run.id,
        "stage": run.stage,
        "started": run.started[:19].replace("T", " "),
        "state": f"undone by run {run.undone}" if run.undone else "done" if run.finished else "unfinished",
        "counts": counts,
    }
