"""Show what ran, and what was decided about which image and why."""

from __future__ import annotations

import fnmatch
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path

import click

from pipeline.cli import console
from pipeline.cli.set_folder import SET
from pipeline.config import registry
from pipeline.core.errors import PrepError
from pipeline.store.caption_files import EDITS
from pipeline.store.manifest import Manifest
from pipeline.store.records import Decision, Run
from pipeline.store.undo import NAME as UNDO


@click.command(short_help="Show what ran, and what was decided about which image and why.")
@click.argument("root", metavar="SET", type=SET)
@click.option("--image", help="Only images whose path or source is this, holds it, or fits this pattern.")
@click.option("--concept", help="Only images of this concept and the ones below it.")
@click.option(
    "--stage",
    type=click.Choice([*(entry.name for entry in registry.STAGES), EDITS, "tags", UNDO, "export"]),
    metavar="STAGE",
    help=f"Only what this stage did; {EDITS} are captions that people edited; tags, {UNDO} and export are runs too.",
)
@click.option("--run", "number", type=int, help="Only what this run decided and what still holds of it.")
@click.option("--reason", help="Only decisions whose reason holds this.")
@click.option(
    "--limit", type=click.IntRange(min=0), default=50, show_default=True, help="Most decisions shown; 0 shows all."
)
@click.option("as_json", "--json", is_flag=True, help="Print one JSON document to stdout.")
def command(
    root: Path,
    image: str | None,
    concept: str | None,
    stage: str | None,
    number: int | None,
    reason: str | None,
    limit: int,
    as_json: bool,
) -> None:
    """Show what ran, and what was decided about which image and why.

    Without a filter only the runs are listed; any filter lists the decisions that hold now. What a run changed, also where
    it holds no longer, is shown by `prep diff SET RUN`.
    """
    with Manifest.open(root) as manifest:
        runs = [run for run in manifest.runs() if stage in (None, run.stage) and number in (None, run.id)]
        if number is not None and not runs:
            raise PrepError(f"there is no run {number}" + (f" of {stage}" if stage else ""), f"see: prep log {root}")
        filtered = any((image, concept, stage, reason, number))
        wanted = {run.id for run in runs} if stage or number is not None else None
        found = (
            (
                (stage_name, decision)
                for run, stage_name, decision in _decisions(manifest, image, concept)
                if (wanted is None or run in wanted) and (reason or "") in decision.reason
            )
            if filtered or as_json
            else ()
        )
        shown, left = console.selected(found, limit)
    if as_json:
        console.print_json(
            {
                "runs": [asdict(run) for run in runs],
                "left_off": left,
                "decisions": [{"stage": name, **decision.as_json()} for name, decision in shown],
            }
        )
        return
    if not (image or concept or reason or (number is not None)):
        console.print_table([_run_row(run) for run in runs])
    for name, decision in shown:
        click.echo(console.printable(f"{name}: {console.decision_line(decision)}"))
    if left:
        console.say(f"… and {left} more; --limit 0 shows all")
    if filtered and not shown:
        console.say("nothing was decided that fits")


def _decisions(manifest: Manifest, image: str | None, concept: str | None) -> Iterator[tuple[int, str, Decision]]:
    """(run, stage, decision) for the images that fit; a decision about a source file counts for its image."""
    stages = {run.id: run.stage for run in manifest.runs()}
    images = manifest.images()
    concepts = {image.path: image.concept for image in images} | {image.source: image.concept for image in images}
    sources = {image.source: image.path for image in images}

    def fits(decision: Decision) -> bool:
        inside = concepts.get(decision.path)
        if concept is not None and not (inside is not None and (inside + "/").startswith(concept + "/")):
            return False
        names = (decision.path, sources.get(decision.path, decision.path))
        return image is None or any(image in name or fnmatch.fnmatchcase(name, image) for name in names)

    return ((run, stages.get(run, ""), decision) for run, decision in manifest.all_decisions() if fits(decision))


def _run_row(run: Run) -> dict[str, object]:
    counts = ", ".join(f"{number} {reason}" for reason, number in run.counts.items())
    return {
        "run": run.id,
        "stage": run.stage,
        "started": run.started[:19].replace("T", " "),
        "state": f"undone by run {run.undone}" if run.undone else "done" if run.finished else "unfinished",
        "counts": counts,
    }
