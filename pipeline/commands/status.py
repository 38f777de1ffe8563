"""Show which stages are up to date, and what each of them counted."""

from __future__ import annotations

import json
from pathlib import Path
from types import ModuleType
from typing import Any

import click

from pipeline import catalogue, console
from pipeline.errors import PrepError
from pipeline.manifest import Manifest
from pipeline.records import Run
from pipeline.settings import Settings, convert, declared, options_for, settings_of
from pipeline.stage import input_digest, missing, options_json


@click.command(short_help="Show which stages are up to date, and what each of them counted.")
@click.argument("root", metavar="SET", type=click.Path(path_type=Path))
@click.option("as_json", "--json", is_flag=True, help="Print one JSON document to stdout.")
def command(root: Path, as_json: bool) -> None:
    """Show which stages are up to date, and what each of them counted.

    A stage is stale when its input changed since it ran, or when prep.toml now says otherwise than it ran with.
    """
    settings = settings_of(root)
    with Manifest.open(root) as manifest:
        stages = [_status(manifest, entry, settings) for entry in catalogue.STAGES]
        pictures, kept = len(manifest.images()), len(manifest.kept())
    if as_json:
        console.print_json({"set": str(root), "pictures": pictures, "kept": kept, "stages": stages})
        return
    console.print_table(
        [
            {
                "stage": row["stage"],
                "state": row["state"],
                "ran": row["ran"][:16].replace("T", " "),
                "counts": ", ".join(f"{number} {reason}" for reason, number in row["counts"].items()),
            }
            for row in stages
        ]
    )
    console.say(f"{pictures} pictures, {kept} kept")


def _status(manifest: Manifest, entry: catalogue.Entry, settings: Settings) -> dict[str, Any]:
    run = manifest.last_run(entry.name)
    if run is None:
        return {"stage": entry.name, "state": "never run", "ran": "", "counts": {}}
    return {
        "stage": entry.name,
        "state": _state(manifest, entry.load(), settings, run),
        "ran": run.started,
        "counts": dict(run.counts),
    }


def _state(manifest: Manifest, stage: ModuleType, settings: Settings, run: Run) -> str:
    """What a stage that ran is now: its own settings are looked at first, then those of prep.toml."""
    if not run.finished:
        return "unfinished: run it again"
    try:
        options = options_for(stage.NAME, stage.Options, settings, {})
        if input_digest(manifest, stage, options) == run.digest:
            gone = missing(manifest, stage, options)
            return f"stale: {gone}" if gone else "fresh"
        as_run = _options_of(stage, settings, run)
        if as_run is None or input_digest(manifest, stage, as_run) != run.digest:
            return "stale"
    except PrepError as error:
        return f"stale: {error.message.splitlines()[0]}"
    now, then = json.loads(options_json(options)), json.loads(options_json(as_run))
    return "fresh, though prep.toml says otherwise: " + ", ".join(
        f"{key} was {then[key]}, now {now[key]}" for key in now if now[key] != then[key]
    )


def _options_of(stage: ModuleType, settings: Settings, run: Run) -> Any:
    """The options that a run was made with; None if this version knows other ones."""
    kinds = {setting.name: setting for setting in declared(stage.Options)}
    try:
        given = {
            key: None if value is None and kinds[key].optional else convert(value, kinds[key].kind)
            for key, value in run.options.items()
        }
        return options_for(stage.NAME, stage.Options, settings, given)
    except (KeyError, ValueError, PrepError):
        return None
