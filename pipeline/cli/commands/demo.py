"""Run everything on a miniature world, offline, in minutes."""

from __future__ import annotations

import contextlib
import json
import shutil
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from statistics import fmean
from typing import Any

import click

from pipeline.cli import console
from pipeline.cli.commands import run
from pipeline.config.settings import absolute
from pipeline.core.files import write_text
from pipeline.store.manifest import Manifest
from train.evaluation.tag_recall import RecallPrompt, RecallResult, averages, shown

OTHER_OUTFITS = {"Lumi": "green hoodie", "Oriel": "black kimono", "Pernille": "yellow dress", "Quill": "white serafuku"}
"""What each character is asked to wear instead of her usual clothes."""
THRESHOLD = 0.5


@click.command(short_help="Run everything on a miniature world, offline, in minutes.")
@click.argument("folder", type=click.Path(path_type=Path), default=Path("prep-demo"))
@click.option("--seed", type=int, default=1, show_default=True, help="Seed of the painted folders.")
@click.option("as_json", "--json", is_flag=True, help="Print one JSON document to stdout.")
def command(folder: Path, seed: int, as_json: bool) -> None:
    """Run everything on a miniature world, offline, in minutes.

    Paints folders of images as people have them, with four characters the base model does not know, into
    FOLDER/pictures; prepares them, trains an adapter and samples with it in FOLDER/set; measures what was learned; and
    writes one page, FOLDER/set/reports/report.html. Stopped and started again, it goes on where it was.
    """
    begun = time.monotonic()
    truth = paint(folder / "pictures", seed)
    questions = ask()
    settings = write_settings(folder / "set", questions)
    assert run.command.callback is not None
    with contextlib.redirect_stdout(sys.stderr) if as_json else contextlib.nullcontext():
        run.command.callback(file_or_set=settings, until=None, dry_run=False, as_json=False)
    with Manifest.open(folder / "set") as manifest:
        rows = measure(manifest, questions)
        faults = hold_against_truth(manifest, folder / "pictures", truth)
        page = write_page(manifest, rows)
    result = summary(rows, faults, page, time.monotonic() - begun)
    console.print_json(result) if as_json else show(result)


def paint(images: Path, seed: int) -> tuple[Any, ...]:
    """Paint the source tree, or paint it again elsewhere to know the truth about one that is there."""
    from train.miniature.source_tree import paint_source_tree

    painting = images.with_name(f".painting-{seed}")
    shutil.rmtree(painting, ignore_errors=True)
    truth = paint_source_tree(painting, seed)
    if images.exists():
        shutil.rmtree(painting)
    else:
        images.parent.mkdir(parents=True, exist_ok=True)
        painting.rename(images)
    return truth


def ask() -> tuple[RecallPrompt, ...]:
    """For every character: `1girl, TRIGGER`, where her traits are wanted, and the same in other clothes."""
    from train.miniature.scenes import CHARACTERS

    questions = []
    for trigger, girl in CHARACTERS.items():
        outfit = OTHER_OUTFITS[trigger]
        questions.append(RecallPrompt(trigger, f"1girl, {trigger}", girl.traits()))
        questions.append(RecallPrompt(trigger, f"1girl, {trigger}, {outfit}", (*girl.traits(), outfit)))
    return tuple(questions)


def write_settings(root: Path, questions: Sequence[RecallPrompt]) -> Path:
    """Put the demo's prep.toml into the set, unless one is there already (a person may have changed it)."""
    file = root / "prep.toml"
    if not file.exists():
        text = (resources.files("pipeline.cli.commands") / "demo.toml").read_text(encoding="utf-8")
        prompts = "prompts = " + json.dumps([question.prompt for question in questions]) + "\n"
        write_text(file, text + prompts)
    return file


def measure(manifest: Manifest, questions: Sequence[RecallPrompt]) -> tuple[RecallResult, ...]:
    """Score the samples, and write what was found into their listing, where the page reads it."""
    from pipeline.stages.sample import LISTING, sample_folder

    listing = sample_folder(manifest, "adapter") / LISTING
    rows = shown(manifest.root, listing, questions, "miniature", THRESHOLD)
    found = {(row.question.prompt, row.seed): row for row in rows}
    entries = json.loads(listing.read_text(encoding="utf-8"))
    for entry in entries:
        row = found.get((entry["prompt"], entry["seed"]))
        if row is not None:
            entry |= {"found_before": round(row.found_base, 4), "found_after": round(row.found_adapter, 4)}
    write_text(listing, json.dumps(entries, indent=2, ensure_ascii=False) + "\n")
    return rows


@dataclass(frozen=True, slots=True)
class Faults:
    """What was planted in the folders against what was found: kinds of mess → (planted, found), and good images lost."""

    kinds: dict[str, tuple[int, int]]
    good: int
    lost: tuple[str, ...]


def hold_against_truth(manifest: Manifest, images: Path, truth: Sequence[Any]) -> Faults:
    """Compare what was left out, and why, with what the painter says is wrong with each file."""
    from train.miniature.source_tree import ANIMATED, HARMLESS, SIDECAR

    placed = {Path(source): row.value for source, row in manifest.decisions("placed").items()}
    keep = {path: bool(row.value) for path, row in manifest.decisions("keep").items()}
    kept = {row.path: keep.get(placed.get(absolute(images / row.path)) or "", False) for row in truth}
    kinds: dict[str, tuple[int, int]] = {}
    stood_for = set()
    for row in truth:
        if row.mess in ("", SIDECAR, ANIMATED, *HARMLESS):
            continue
        planted, found = kinds.get(row.mess, (0, 0))
        one_of_two = bool(row.original) and kept[row.path] != kept[row.original]
        if one_of_two and kept[row.path]:
            stood_for.add(row.original)
        kinds[row.mess] = (planted + 1, found + (one_of_two if row.original else not kept[row.path]))
    good = [row.path for row in truth if row.sound]
    return Faults(kinds, len(good), tuple(path for path in good if not kept[path] and path not in stood_for))


def write_page(manifest: Manifest, rows: Sequence[RecallResult]) -> Path:
    """The report, with every trait of every character measured on the images of her name alone."""
    from pipeline.report.dataset.page import write_report
    from pipeline.report.dataset.samples import Learned, SamplePair, TraitShare

    samples = tuple(
        SamplePair(
            row.question.trigger,
            row.question.prompt,
            row.seed,
            row.base,
            row.adapter,
            row.found_base,
            row.found_adapter,
        )
        for row in rows
    )
    traits = []
    for trigger, chosen in by_trigger(rows, plain=True).items():
        for trait in chosen[0].question.wanted:
            before, after = (
                fmean(trait in tags for tags in found)
                for found in ([row.tags_base for row in chosen], [row.tags_adapter for row in chosen])
            )
            traits.append(TraitShare(trigger, trait, before, after))
    recipe = json.loads((manifest.root / "runs" / "adapter" / "recipe.json").read_text(encoding="utf-8"))
    trained = manifest.last_run("train", "adapter")
    steps = trained.counts.get("steps", 0) if trained else 0
    about = (
        f"{recipe['algorithm']} of rank {recipe['rank']}, {steps} steps of {recipe['batch_size']} images and their "
        "regularization images."
    )
    return write_report(
        manifest,
        manifest.root / "reports" / "report.html",
        Learned(samples, tuple(traits), about),
        "What the demo made",
    )


def by_trigger(rows: Sequence[RecallResult], plain: bool) -> dict[str, list[RecallResult]]:
    """Trigger → its images for `1girl, TRIGGER` (plain), or for the prompts with other clothes."""
    found: dict[str, list[RecallResult]] = {}
    for row in rows:
        if (row.question.prompt == f"1girl, {row.question.trigger}") == plain:
            found.setdefault(row.question.trigger, []).append(row)
    return found


def summary(rows: Sequence[RecallResult], faults: Faults, page: Path, seconds: float) -> dict[str, Any]:
    """Everything the demo measured, as one document."""

    def share(chosen: list[RecallResult]) -> dict[str, float]:
        base, adapter = averages(chosen)
        return {"before": round(base, 3), "after": round(adapter, 3)}

    plain, dressed = by_trigger(rows, plain=True), by_trigger(rows, plain=False)
    return {
        "faults": {
            kind: {"planted": planted, "found": found} for kind, (planted, found) in sorted(faults.kinds.items())
        },
        "good images": faults.good,
        "good images lost": list(faults.lost),
        "traits": {trigger: share(plain[trigger]) for trigger in plain}
        | {"all": share([row for part in plain.values() for row in part])},
        "other outfit": {trigger: share(dressed[trigger]) for trigger in plain}
        | {"all": share([row for part in dressed.values() for row in part])},
        "outfits": {trigger: OTHER_OUTFITS[trigger] for trigger in plain},
        "page": str(page.resolve()),
        "seconds": round(seconds),
    }


def show(result: dict[str, Any]) -> None:
    """The summary for people, on stdout."""
    planted = sum(row["planted"] for row in result["faults"].values())
    found = sum(row["found"] for row in result["faults"].values())
    click.echo(
        f"\nThe folders held {result['good images']} good images and {planted} spoiled or repeated files; "
        f"prep left out {found} of the {planted}" + _lost(result["good images lost"]) + "\n"
    )
    click.echo("How many of a character's traits the tagger finds in images of her, before and after training:\n")
    console.print_table(
        [
            {
                "trigger": trigger,
                "“1girl, TRIGGER”": _change(row),
                "in other clothes": _change(result["other outfit"][trigger]),
                "clothes asked for": result["outfits"].get(trigger, ""),
            }
            for trigger, row in result["traits"].items()
        ]
    )
    minutes, seconds = divmod(result["seconds"], 60)
    click.echo(f"\nAll of it took {minutes} min {seconds} s. The page to look at: {result['page']}")


def _change(share: dict[str, float]) -> str:
    return f"{share['before']:.0%} → {share['after']:.0%}"


def _lost(names: list[str]) -> str:
    return f", and {len(names)} good ones, such as {names[0]}." if names else " and none of the good ones."
