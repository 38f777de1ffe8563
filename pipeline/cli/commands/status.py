"""Show which stages are up to date, and the counts of each."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import click

from pipeline.cli import console
from pipeline.cli.set_folder import SET
from pipeline.cli.stage_command import load_stage
from pipeline.cli.stage_screen import WIDTH, fitting, next_command
from pipeline.cli.up_to_date import said_value
from pipeline.cli.verbose import verbose, verbose_option
from pipeline.config import registry
from pipeline.config.declared import declared
from pipeline.config.parts import composed
from pipeline.config.settings import Settings, options_for, settings_of
from pipeline.config.values import convert
from pipeline.core.errors import PrepError
from pipeline.core.humanize import counted as counted_things
from pipeline.sources.in_and_out import sentences, states
from pipeline.store.manifest import Manifest
from pipeline.store.opening import open_read
from pipeline.store.records import Run
from pipeline.store.running.freshness import OBSERVED, OPTIONS, changed_inputs, changed_options, inputs
from pipeline.store.running.stage import Stage
from pipeline.store.wording import counted

WORDS = {
    "keep": "the kept images",
    "manual_caption": "manual captions",
    "images": "images",
    "regularization": "regularization images",
}


@click.command(short_help="Show which stages are up to date, and the counts of each.")
@click.argument("root", metavar="SET", type=SET)
@click.option("as_json", "--json", is_flag=True, help="Print one JSON document to stdout.")
@verbose_option
def command(root: Path, as_json: bool) -> None:
    """Show which stages are up to date, and the counts of each.

    A stage is stale if what it reads, or its settings in prep.toml, changed since it ran; `prep run SET` runs what is stale,
    and so does `prep train` before it trains. Images that were deleted from the set, that lost their source, or that lie
    in images/ without being of the set are listed with what to type.
    """
    settings = settings_of(root)
    with open_read(root) as manifest:
        stages = [_status(manifest, load_stage(entry), settings) for entry in registry.STAGES]
        images, kept = len(manifest.images()), len(manifest.kept())
        others = list(_others(manifest, stages))
        moved, now = list(sentences(manifest)), states(manifest)
    if as_json:
        console.print_json({"set": str(root), "images": images, "kept": kept, "stages": stages, "files": now})
        return
    (_show_all if verbose() else _show)(stages)
    for words in (*others, *moved):
        console.say(words)
    console.say(f"{counted_things(images, 'image')}, {kept} kept")
    console.say(f"next: {_next(stages, root)}")


def _show(stages: Sequence[Mapping[str, Any]]) -> None:
    """A line for each stage that fits the terminal, and below them why one is not up to date."""
    rows = [
        {
            "stage": row["stage"],
            "state": row["state"].partition(":")[0].partition(",")[0],
            "ran": row["ran"][:16].replace("T", " "),
        }
        for row in stages
    ]
    used = sum(max(len(row[name]) for row in (*rows, dict(zip(rows[0], rows[0], strict=True)))) + 2 for name in rows[0])
    room = (console.columns() or WIDTH) - used
    console.print_table(
        [row | {"counts": fitting(each["counts"], room)} for row, each in zip(rows, stages, strict=True)]
    )
    for row in stages:
        if row["state"].partition(":")[0].partition(",")[0] != row["state"]:
            console.say(f"{row['stage']} is {row['state']}")


def _show_all(stages: Sequence[Mapping[str, Any]]) -> None:
    console.print_table(
        [
            {
                "stage": row["stage"],
                "state": row["state"],
                "ran": row["ran"][:16].replace("T", " "),
                "counts": ", ".join(f"{number} {counted(key)}" for key, number in row["counts"].items()),
            }
            for row in stages
        ]
    )


def _next(stages: Sequence[Mapping[str, Any]], root: Path) -> str:
    """What to type: a run where a stage is not up to date, else what comes after the last."""
    behind = [row["stage"] for row in stages if row["state"] != "fresh"]
    if not behind:
        return next_command(stages[-1]["stage"], root)
    return f"prep run {root}, which runs what is not up to date: {', '.join(behind)}"


def _status(manifest: Manifest, stage: Stage[Any], settings: Settings) -> dict[str, Any]:
    run = manifest.last_run(stage.name, _named(stage, settings))
    if run is None:
        return {"stage": stage.name, "run": None, "state": "never run", "ran": "", "counts": {}}
    return {
        "stage": stage.name,
        "run": run.id,
        "state": _state(manifest, stage, settings, run),
        "ran": run.started,
        "counts": dict(run.counts),
    }


def _named(stage: Stage[Any], settings: Settings) -> str | None:
    """The name that prep.toml gives the runs of a stage, None where its runs have none or prep.toml is wrong."""
    if stage.run_name is None:
        return None
    try:
        return stage.run_name(options_for(stage.name, stage.options, settings, {}))
    except PrepError:
        return None


def _others(manifest: Manifest, stages: Sequence[Mapping[str, Any]]) -> Iterator[str]:
    """The runs of other names, which have files of their own."""
    shown = {row["run"] for row in stages}
    for entry in registry.STAGES:
        if load_stage(entry).run_name:
            names = {
                str(run.options.get("name")): run
                for run in manifest.runs()
                if run.stage == entry.name and not run.undone
            }
            others = [f"{name} (run {run.id})" for name, run in names.items() if run.id not in shown]
            if others:
                yield f"other runs of {entry.name}: {', '.join(others)}"


def _state(manifest: Manifest, stage: Stage[Any], settings: Settings, run: Run) -> str:
    """What a stage that ran is now: its own settings are looked at first, then those of prep.toml."""
    if not run.finished:
        return "unfinished: run it again"
    try:
        options = options_for(stage.name, stage.options, settings, {})
        now = inputs(manifest, stage, options)
        changed = changed_inputs(stage, options, run, now)
        if not changed:
            gone = stage.missing(manifest, options)
            return f"stale: {gone}" if gone else "fresh"
        as_run = _options_of(stage, run)
        differ = (
            _differing(stage, options, run)
            if as_run is not None
            else "its options are those of another version of prep"
        )
        if as_run is not None and not changed_inputs(stage, as_run, run, inputs(manifest, stage, as_run)):
            return f"fresh, but prep.toml has other settings: {differ}"
    except PrepError as error:
        return f"stale: {error.message.splitlines()[0]}"
    return "stale: " + "; ".join(_why(manifest, stage, run, changed, differ))


def _differing(stage: Stage[Any], options: Any, run: Run) -> str:
    changed = changed_options(stage, options, run).items()
    return ", ".join(f"{name} was {said_value(then)}, now {said_value(now)}" for name, (then, now) in changed)


def _why(manifest: Manifest, stage: Stage[Any], run: Run, changed: Sequence[str], differ: str) -> Iterator[str]:
    """Each thing that a stage read and that changed since, with who changed it."""
    for name in changed:
        if name == OPTIONS:
            yield differ or "options changed"
        elif name == OBSERVED:
            yield f"{stage.observes} changed"
        else:
            by = manifest.changed_by(name, run.id)
            yield f"{WORDS.get(name, name)} changed" + (f" by {by.stage} (run {by.id})" if by else "")


def _options_of(stage: Stage[Any], run: Run) -> Any:
    """The options that a run was made with; None if this version knows other ones."""
    options: type = stage.options
    kinds = {setting.name: setting for setting in declared(options)}
    try:
        given = {
            key: None if value is None and kinds[key].optional else convert(value, kinds[key].kind)
            for key, value in run.options.items()
        }
        return composed(options, given)  # whole as they stand: no layer has a say in what a run was made with
    except (KeyError, ValueError, PrepError):
        return None
