"""List the images with the highest and lowest loss, before and after training."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from pipeline.cli import console
from pipeline.cli.set_folder import SET
from pipeline.config.settings import options_for, settings_of
from pipeline.core.errors import PrepError
from pipeline.store.manifest import Manifest
from pipeline.store.opening import open_write
from pipeline.store.records import THE_SET, Decision
from pipeline.store.values.tags import TagAction

if TYPE_CHECKING:
    from train.data.dataset import Example
    from train.evaluation.outliers import ImageLoss, Known
    from train.options.recipe import Recipe

SHEET = "losses.png"
KINDS = ("hardest", "easiest")


@click.command(short_help="List the images with the highest and lowest loss, before and after training.")
@click.argument("root", metavar="SET", type=SET)
@click.option(
    "--name", metavar="RUN", help="Training run whose adapter is used.  [default: the one named in prep.toml]"
)
@click.option(
    "--count",
    type=click.IntRange(min=1),
    default=10,
    show_default=True,
    help="Images shown with the highest and with the lowest loss.",
)
@click.option(
    "--timesteps",
    type=click.IntRange(1, 1000),
    default=8,
    show_default=True,
    help="Timesteps, evenly spaced, at which the loss of each image is measured.",
)
@click.option(
    "--noise-samples",
    type=click.IntRange(min=1),
    default=1,
    show_default=True,
    help="Noise samples at each of these timesteps.",
)
@click.option("--device", default="auto", show_default=True, help="auto, cpu, cuda, cuda:N, xpu or mps.")
@click.option("as_json", "--json", is_flag=True, help="Print one JSON document, with every image, to stdout.")
def command(
    root: Path, name: str | None, count: int, timesteps: int, noise_samples: int, device: str, as_json: bool
) -> None:
    """List the images with the highest and lowest loss, before and after training.

    The loss of every kept image is measured with the base model and, once there is one, with the adapter, on the same
    noise. An image whose loss stays high may be tagged wrongly, damaged or unlike the others; one whose loss is very low
    may be flat or have duplicates in the set. Thumbnails are written to SET/runs/RUN/losses.png, without an adapter to
    SET/reports/losses.png.
    """
    with open_write(root, "losses") as manifest:
        run = _run(root, name)
        examples, found = _measured(manifest, run, device, timesteps, noise_samples)
        known = known_of(manifest, examples, run)
        document = _document(run, found, known, count)
        target = _draw(root, run, examples, document)
    document |= {
        "set": str(root),
        "timesteps": timesteps,
        "noise_samples": noise_samples,
        "sheet": target.relative_to(root).as_posix(),
    }
    if as_json:
        console.print_json(document)
        return
    _show(run, document, len(found))
    console.say(f"thumbnails: {target}")


@dataclass(frozen=True, slots=True)
class _Run:
    """A run's name, its recipe, its adapter's file and the images it held out; without an adapter the recipe is that of
    prep.toml."""

    name: str
    recipe: Recipe
    adapter: Path | None
    held_out: frozenset[str] = frozenset()


def _run(root: Path, name: str | None) -> _Run:
    """The run that is meant.

    Raises:
        PrepError: the run that was asked for has no adapter, or what it was made by cannot be read.
    """
    from train.options.recipe import Recipe, recipe_of

    there = {
        file.parent.name: file for file in (root / "runs").glob("*/*.safetensors") if file.stem == file.parent.name
    }
    if name is not None and name not in there:
        names = ", ".join(sorted(there)) or "none yet"
        raise PrepError(
            f"there is no adapter of a run {name!r}; runs with one: {names}", f"train one: prep train {root}"
        )
    planned = options_for("train", Recipe, settings_of(root), {})
    chosen = planned.run.name if name is None else name
    if chosen not in there:
        return _Run(chosen, planned, None)
    folder = there[chosen].parent
    recipe = recipe_of(_read(folder / "recipe.json", root))
    note = folder / "run.json"
    held = _read(note, root).get("set", {}).get("held out", []) if note.is_file() else []
    return _Run(chosen, recipe, there[chosen], frozenset(held))


def _read(file: Path, root: Path) -> dict[str, Any]:
    try:
        values = json.loads(file.read_text(encoding="utf-8"))
        if not isinstance(values, dict):
            raise ValueError("no table of values")
        return values
    except (OSError, ValueError) as error:
        raise PrepError(
            f"{file} cannot be read, so the settings of the adapter are unknown: {error}",
            f"train again with: prep train {root} --force",
        ) from error


def _measured(
    manifest: Manifest, run: _Run, device: str, timesteps: int, noise_samples: int
) -> tuple[tuple[Example, ...], tuple[ImageLoss, ...]]:
    from train.data.dataset import examples
    from train.inspection import losses_of_set
    from train.options.recipe import with_values

    found = examples(manifest, replace(run.recipe.dataset, regularized=False))
    with console.progress_bars() as progress:
        losses = losses_of_set(
            manifest.root,
            found,
            with_values(run.recipe, device=device),
            run.adapter,
            times=timesteps,
            noise_samples=noise_samples,
            progress=progress,
        )
    return found, losses


# --- what is known of the images


def known_of(manifest: Manifest, examples: Sequence[Example], run: _Run) -> dict[str, Known]:
    """What the record says of every image that may explain its loss."""
    from pipeline.images.duplicate_groups import near_groups
    from train.data.caption_augmentation import normalized, tags_of
    from train.evaluation.outliers import Known

    groups = near_groups(manifest, [example.entry.key for example in examples])
    members = defaultdict[int, list[str]](list)
    for path, number in groups.items():
        members[number].append(path)
    measured = manifest.measured("contrast", "sharpness")
    scores, curated = _scores(manifest), manifest.decisions("tags")
    found = {}
    for example in examples:
        path, content = example.entry.key, example.image.content
        tags = tuple(tags_of(normalized(example.caption, run.recipe.captions.separators)))
        unseen = {*example.triggers, *_given(curated.get(path))}
        contrast, sharpness = measured.get(content, (None, None))
        found[path] = Known(
            example.concept,
            tags,
            _of_tags([tag for tag in tags if tag not in unseen], content, scores),
            contrast,
            sharpness,
            tuple(other for other in members[groups[path]] if other != path),
            path in run.held_out,
        )
    return found


def _given(row: Decision | None) -> set[str]:
    """Tags of an image that rules put in, so that no tagger needs to see them."""
    return {tag.tag for tag in row.value if tag.action == TagAction.ADDED} if row is not None else set()


Scores = list[tuple[Any, Mapping[str, Mapping[str, float]]]]
"""A tagger's vocabulary and its scores by content, for every tagger that `prep tag` used last."""


def _scores(manifest: Manifest) -> Scores:
    from pipeline.tags.vocabulary.aliases import Vocabulary

    chosen, taggers = manifest.decisions("tagger").get(THE_SET), manifest.taggers()
    value = chosen.value if chosen is not None else []
    return [(Vocabulary(taggers[name].categories), manifest.scores(name)) for name in value if name in taggers]


def _of_tags(tags: Sequence[str], content: str, scores: Scores) -> dict[str, float]:
    """What the taggers give the tags that they know, the highest of several; of one that is not stored next to nothing."""
    found: dict[str, float] = {}
    for vocabulary, by_content in scores:
        for tag in tags:
            spelled = vocabulary.spelled(tag)
            if spelled in vocabulary.categories and content in by_content:
                found[tag] = max(found.get(tag, 0.0), by_content[content].get(spelled, 0.0))
    return found


# --- what is shown


def _document(run: _Run, found: Sequence[ImageLoss], known: Mapping[str, Known], count: int) -> dict[str, Any]:
    from statistics import fmean

    from train.evaluation.outliers import hardest_and_easiest, reasons

    why = reasons(found, known)

    def row(each: ImageLoss) -> dict[str, Any]:
        losses = {"base": each.base, "adapter": each.adapter, "change": each.change}
        return {"path": each.key, "concept": known[each.key].concept, **losses, "reasons": list(why[each.key])}

    hardest, easiest = hardest_and_easiest(found, count)
    with_adapter = [each.adapter for each in found if each.adapter is not None]
    return {
        "run": run.name if run.adapter else None,
        "base": run.recipe.model.base,
        "mean": {
            "base": fmean(each.base for each in found),
            "adapter": fmean(with_adapter) if with_adapter else None,
        },
        "hardest": [row(each) for each in hardest],
        "easiest": [row(each) for each in easiest],
        "images": [row(each) for each in found],
    }


def _show(run: _Run, document: Mapping[str, Any], images: int) -> None:
    mean = document["mean"]
    if run.adapter is None:
        console.say(f"run {run.name} has no adapter yet: {images} images with {run.recipe.model.base} alone")
        console.say(f"mean loss {mean['base']:.4g}")
    else:
        change = mean["adapter"] / mean["base"] - 1
        console.say(f"run {run.name} on {run.recipe.model.base}, {images} images")
        console.say(
            f"mean loss {mean['base']:.4g} with the base model, {mean['adapter']:.4g} with the adapter ({change:+.1%})"
        )
    console.print_table(
        [_line(f"{kind} {place}", row) for kind in KINDS for place, row in enumerate(document[kind], 1)]
    )
    listed = {row["path"] for kind in KINDS for row in document[kind]}
    others = [row for row in document["images"] if row["reasons"] and row["path"] not in listed]
    if others:
        count = f"{len(others)} more image{'s' if len(others) > 1 else ''}"
        first = f"{others[0]['path']} ({others[0]['reasons'][0]})"
        console.say(f"worth checking: {count}, such as {first}; --json lists all")


def _line(rank: str, row: Mapping[str, Any]) -> dict[str, Any]:
    line = {"": rank, "image": row["path"], "base": row["base"]}
    if row["adapter"] is not None:
        line |= {"adapter": row["adapter"], "change %": round(100 * row["change"], 1)}
    return line | {"possible reasons": "; ".join(row["reasons"])}


def _draw(root: Path, run: _Run, examples: Sequence[Example], document: Mapping[str, Any]) -> Path:
    from pipeline.images.sheets.loss_sheet import Tile, draw_losses

    buckets = {example.entry.key: example.image.bucket for example in examples}

    def tile(row: Mapping[str, Any]) -> Tile:
        figures = f"loss {row['base']:.3g}"
        if row["adapter"] is not None:
            figures += f" → {row['adapter']:.3g} ({row['change']:+.1%})"
        return Tile(row["path"], buckets[row["path"]], figures, tuple(row["reasons"]))

    target = (run.adapter.parent if run.adapter else root / "reports") / SHEET
    draw_losses(root, target, {kind.title(): [tile(row) for row in document[kind]] for kind in KINDS})
    return target
