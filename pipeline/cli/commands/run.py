"""Run all stages in order, skipping those that are up to date."""

from __future__ import annotations

import functools
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import click

from pipeline.cli import console, stage_screen
from pipeline.cli.set_folder import bring_forward
from pipeline.cli.stage_command import load_stage
from pipeline.cli.verbose import verbose, verbose_option
from pipeline.config import registry
from pipeline.config.settings import FILE, Resolved, Settings, load_settings, resolved
from pipeline.core.errors import PrepError
from pipeline.sources.new_set import check_folder
from pipeline.sources.settings_owner import remember, same_settings
from pipeline.store.manifest import Manifest
from pipeline.store.opening import open_write
from pipeline.store.records import Plan
from pipeline.store.running.freshness import inputs, is_fresh
from pipeline.store.running.runner import preview_stage, run_stage
from pipeline.store.running.stage import ANYTHING, OptionsT, Stage


@click.command(short_help="Run all stages in order, skipping those that are up to date.")
@click.argument("file_or_set", type=click.Path(path_type=Path))
@click.option(
    "--until",
    type=click.Choice([entry.name for entry in registry.STAGES]),
    metavar="STAGE",
    help="Stop after this stage: " + ", ".join(entry.name for entry in registry.STAGES) + ".",
)
@click.option(
    "--dry-run", is_flag=True, help="Show what would be decided, up to the first stage that needs the work of another."
)
@click.option("as_json", "--json", is_flag=True, help="Print one JSON document to stdout.")
@verbose_option
def command(file_or_set: Path, until: str | None, dry_run: bool, as_json: bool) -> None:
    """Run all stages in order, skipping those that are up to date.

    FILE_OR_SET is a TOML file with the settings of all stages, or a set, whose prep.toml is used. The section [set] of the
    file names the folder of the set (path) and the folders of images it is made from (sources). A stage is skipped if its
    settings and inputs have not changed. At the end the report is written, SET/reports/report.html.
    """
    root, settings = find(file_or_set)
    stages = [load_stage(entry) for entry in _until(until)]
    options = {stage.name: resolved(stage.name, stage.options, settings, {}) for stage in stages}
    if not same_settings(root, settings):
        console.warn(f"{root / FILE} differs from {settings.file}; this run uses {settings.file}")
    check_folder(root, settings.sources, console.agreed)
    with open_write(root, "run", create=True, dry_run=dry_run) as manifest:
        if not dry_run:
            remember(root, settings, settings)
        done = (_previews if dry_run else _runs)(manifest, stages, options, as_json)
        page = None if dry_run else _report(manifest, done)
    if as_json:
        console.print_json({"set": str(root), "stages": done, "report": str(page) if page else None})
    elif page is not None:
        console.say(f"report: {page}")
        console.say(f"next: {stage_screen.next_command(stages[-1].name, root)}")


def find(file_or_set: Path) -> tuple[Path, Settings]:
    """The set's folder and the settings for it.

    Raises:
        PrepError: there is no such file, or it names no set.
    """
    file = file_or_set / FILE if file_or_set.is_dir() else file_or_set
    if not file.exists():
        raise PrepError(f"no settings at {file}", f"make a set first: prep flatten FOLDER {file_or_set}")
    bring_forward(file.parent)
    settings = load_settings(file)
    if file_or_set.is_dir() or (settings.path is None and file.name == FILE):
        return file.parent, replace(settings, path=None)
    if settings.path is None:
        raise PrepError(f"{file} does not name the folder of the set", 'add path = "FOLDER" to [set]')
    bring_forward(settings.path)
    return settings.path, settings


def _until(name: str | None) -> list[registry.StageEntry]:
    names = [entry.name for entry in registry.STAGES]
    return list(registry.STAGES[: names.index(name) + 1] if name else registry.STAGES)


def _runs(
    manifest: Manifest, stages: Sequence[Stage[Any]], options: dict[str, Resolved], as_json: bool
) -> list[dict[str, Any]]:
    done = []
    for stage in stages:
        wanted = options[stage.name]
        with console.progress_bars(keep=verbose()) as bars:
            show_plan = None if as_json else functools.partial(stage_screen.show_plan_between, bars)
            outcome = run_stage(manifest, stage, wanted.options, bars, origins=wanted.origins, show_plan=show_plan)
        if not as_json:
            stage_screen.show_outcome(outcome)
        done.append(console.outcome_json(outcome))
    return done


def _report(manifest: Manifest, done: Sequence[dict[str, Any]]) -> Path:
    """The page about the set, written anew where a stage did something."""
    from pipeline.report.dataset.page import write_report

    page = manifest.root / "reports" / "report.html"
    if page.exists() and all(row["fresh"] for row in done):
        return page
    return write_report(manifest, page)


def _previews(
    manifest: Manifest, stages: Sequence[Stage[Any]], options: dict[str, Resolved], as_json: bool
) -> list[dict[str, Any]]:
    """Preview stage after stage, up to the first that needs what an earlier one would only make."""
    done: list[dict[str, Any]] = []
    pending: dict[str, str] = {}
    for stage in stages:
        maker = next((pending[name] for name in (*stage.reads, ANYTHING) if name in pending), None)
        if maker is not None:
            words = f"{stage.name} needs what {maker} would make; run prep {maker} first to see more"
            console.say(words)
            return [*done, {"stage": stage.name, "dry_run": True, "stopped": words}]
        wanted = options[stage.name].options
        if is_fresh(manifest, stage, wanted, inputs(manifest, stage, wanted)):
            console.say(f"{stage.name}: up to date, nothing to do")
            done.append({"stage": stage.name, "dry_run": True, "fresh": True})
            continue
        with console.progress_bars(keep=verbose()) as progress:
            plan = preview_stage(manifest, stage, wanted, progress)
        if not as_json:
            stage_screen.show_preview(manifest, plan)
        done.append(console.preview_json(manifest, plan))
        pending |= dict.fromkeys(_changed(manifest, stage, plan), stage.name)
    return done


def _changed(manifest: Manifest, stage: Stage[OptionsT], plan: Plan) -> set[str]:
    """The names, as stages read them, of what applying a plan would change."""
    names = {field for _, field in manifest.changes(plan.fields, plan.decisions)}
    if plan.images is not None and {(image.path, image.content) for image in plan.images} != {
        (image.path, image.content) for image in manifest.images()
    }:
        names.add("images")
    if plan.captions:
        names |= {"manual_caption", "caption"}
    return names | set(stage.makes) if stage.work else names
