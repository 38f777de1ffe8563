"""Run all stages on a small built-in example, offline, in minutes."""

from __future__ import annotations

import contextlib
import json
import shutil
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from importlib import resources
from pathlib import Path
from statistics import fmean
from typing import Any

import click

from pipeline.cli import console
from pipeline.cli.commands import run
from pipeline.cli.verbose import verbose_option
from pipeline.config.values import absolute
from pipeline.core.files import write_text
from pipeline.store.manifest import Manifest
from train.evaluation.tag_recall import RecallPrompt, RecallResult, averages, shown

OTHER_OUTFITS = {"Lumi": "green hoodie", "Oriel": "black kimono", "Pernille": "yellow dress", "Quill": "white serafuku"}
"""What each character is asked to wear instead of her usual clothes."""
THRESHOLD = 0.5


@click.command(short_help="Run all stages on a small built-in example, offline, in minutes.")
@click.argument("folder", type=click.Path(path_type=Path), default=Path("prep-demo"))
@click.option("--seed", type=int, default=1, show_default=True, help="Seed of the example's images.")
@click.option("as_json", "--json", is_flag=True, help="Print one JSON document to stdout.")
@verbose_option
def command(folder: Path, seed: int, as_json: bool) -> None:
    """Run all stages on a small built-in example, offline, in minutes.

    Draws folders of images as people have them, with four characters that the base model does not know, in FOLDER/images;
    prepares them, trains an adapter and samples with it in FOLDER/set; measures what was learned; and writes a page,
    FOLDER/set/reports/report.html. Interrupted and started again, it continues where it was.
    """
    begun = time.monotonic()
    images, root = folder / "images", folder / "set"
    truth = source_tree(images, seed)
    prompts = recall_prompts()
    settings = write_settings(root, prompts)
    assert run.command.callback is not None
    with contextlib.redirect_stdout(sys.stderr) if as_json else contextlib.nullcontext():
        run.command.callback(file_or_set=settings, until=None, dry_run=False, as_json=False)
    with Manifest.open(root) as manifest:
        rows = measure(manifest, prompts)
        faults = faults_found(manifest, images, truth)
        page = write_page(manifest, rows)
    summary = Summary.of(rows, faults, page, time.monotonic() - begun)
    console.print_json(summary.as_json()) if as_json else show(summary)


def source_tree(images: Path, seed: int) -> tuple[Any, ...]:
    """Paint the miniature's folders, or only a copy beside them to know the truth about those that are there."""
    from train.miniature.source_tree import paint_source_tree

    part = images.with_name(f".painting-{seed}")
    shutil.rmtree(part, ignore_errors=True)
    truth = paint_source_tree(part, seed)
    if images.exists():
        shutil.rmtree(part)
    else:
        images.parent.mkdir(parents=True, exist_ok=True)
        part.rename(images)
    return truth


def recall_prompts() -> tuple[RecallPrompt, ...]:
    """For every character: `1girl, TRIGGER`, where her traits are wanted, and the same in other clothes."""
    from train.miniature.scenes import CHARACTERS

    prompts = []
    for trigger, girl in CHARACTERS.items():
        outfit = OTHER_OUTFITS[trigger]
        prompts.append(RecallPrompt(trigger, f"1girl, {trigger}", girl.traits()))
        prompts.append(RecallPrompt(trigger, f"1girl, {trigger}, {outfit}", (*girl.traits(), outfit)))
    return tuple(prompts)


def write_settings(root: Path, prompts: Sequence[RecallPrompt]) -> Path:
    """Put the demo's prep.toml into the set, unless one is there already: it may have been edited."""
    file = root / "prep.toml"
    if not file.exists():
        text = (resources.files("pipeline.cli.commands") / "demo.toml").read_text(encoding="utf-8")
        write_text(file, text + "prompts = " + json.dumps([each.prompt for each in prompts]) + "\n")
    return file


def measure(manifest: Manifest, prompts: Sequence[RecallPrompt]) -> tuple[RecallResult, ...]:
    """Tag the samples, and write the share of the wanted tags that was found into their listing, where the page reads it."""
    from pipeline.stages.sample import LISTING, sample_folder

    listing = sample_folder(manifest, "adapter") / LISTING
    rows = shown(manifest.root, listing, prompts, "miniature", THRESHOLD)
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
    """What is wrong in the folders and what was found: kind of fault → (planted, found), good images, and those of them that
    were excluded."""

    kinds: dict[str, tuple[int, int]]
    good: int
    lost: tuple[str, ...]


def faults_found(manifest: Manifest, images: Path, truth: Sequence[Any]) -> Faults:
    """Compare what was excluded with what is known to be wrong with each file."""
    from train.miniature.source_tree import ANIMATED, HARMLESS, SIDECAR

    placed = {Path(source): row.value for source, row in manifest.decisions("imported").items()}
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


@dataclass(frozen=True, slots=True)
class Recall:
    """Share of the wanted tags that the tagger finds in images, 0 to 1, without and with the adapter."""

    before: float
    after: float

    @classmethod
    def of(cls, rows: Sequence[RecallResult]) -> Recall:
        base, adapter = averages(list(rows))
        return cls(round(base, 3), round(adapter, 3))

    def __str__(self) -> str:
        return f"{self.before:.0%} → {self.after:.0%}"


@dataclass(frozen=True, slots=True)
class Summary:
    """Everything the demo measured; `traits` and `other_outfit` by trigger word, and "all" of them together."""

    faults: Faults
    traits: Mapping[str, Recall]
    other_outfit: Mapping[str, Recall]
    page: Path
    seconds: int

    @classmethod
    def of(cls, rows: Sequence[RecallResult], faults: Faults, page: Path, seconds: float) -> Summary:
        traits, other_outfit = (
            {trigger: Recall.of(part) for trigger, part in chosen.items()}
            | {"all": Recall.of([row for part in chosen.values() for row in part])}
            for chosen in (by_trigger(rows, plain=True), by_trigger(rows, plain=False))
        )
        return cls(faults, traits, other_outfit, page.resolve(), round(seconds))

    def as_json(self) -> dict[str, Any]:
        return {
            "faults": {
                kind: {"planted": planted, "found": found}
                for kind, (planted, found) in sorted(self.faults.kinds.items())
            },
            "good images": self.faults.good,
            "good images lost": list(self.faults.lost),
            "traits": {trigger: asdict(recall) for trigger, recall in self.traits.items()},
            "other outfit": {trigger: asdict(recall) for trigger, recall in self.other_outfit.items()},
            "outfits": {trigger: OTHER_OUTFITS[trigger] for trigger in self.traits if trigger in OTHER_OUTFITS},
            "page": str(self.page),
            "seconds": self.seconds,
        }


def show(summary: Summary) -> None:
    """The summary for people, on stdout."""
    faults = summary.faults
    planted, found = (sum(row[place] for row in faults.kinds.values()) for place in (0, 1))
    click.echo(
        f"\nThe folders held {faults.good} good images and {planted} damaged or duplicate files; "
        f"prep excluded {found} of the {planted}" + _lost(faults.lost)
    )
    click.echo("How many of a character's traits the tagger finds in images of her, before and after training:")
    console.print_table(
        [
            {
                "trigger": trigger,
                "“1girl, TRIGGER”": str(recall),
                "in other clothes": str(summary.other_outfit[trigger]),
                "clothes asked for": OTHER_OUTFITS.get(trigger, ""),
            }
            for trigger, recall in summary.traits.items()
        ]
    )
    minutes, seconds = divmod(summary.seconds, 60)
    click.echo(f"It took {minutes} min {seconds} s. See the report: {summary.page}")
    click.echo(f"next: prep status {summary.page.parent.parent}")


def _lost(names: Sequence[str]) -> str:
    return f", and {len(names)} good ones, such as {names[0]}." if names else " and none of the good ones."
