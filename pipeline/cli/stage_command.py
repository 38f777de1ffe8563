"""A stage as a command: its flags from its Options, run or previewed on a set."""

from __future__ import annotations

import functools
import importlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click

from pipeline.cli import console, stage_screen
from pipeline.cli.options import given_flags, options_from
from pipeline.cli.set_folder import SET
from pipeline.cli.up_to_date import Stale, before, stale
from pipeline.cli.verbose import verbose, verbose_option
from pipeline.config.declared import declared
from pipeline.config.keeping import keep_settings
from pipeline.config.registry import STAGES, StageEntry
from pipeline.config.settings import FILE, Settings, resolved, settings_of
from pipeline.core.errors import PrepError
from pipeline.sources.new_set import check_folder
from pipeline.sources.settings_owner import differing_owner, owner_of, remember
from pipeline.sources.source_list import with_sources
from pipeline.store.manifest import Manifest
from pipeline.store.opening import open_write
from pipeline.store.running.runner import preview_stage, run_stage
from pipeline.store.running.stage import OptionsT, Stage
from pipeline.store.tables.schema import FILE as MANIFEST

UPDATING = "update"


def load_stage(entry: StageEntry) -> Stage[Any]:
    """Import a stage."""
    stage = importlib.import_module(entry.module).STAGE
    assert isinstance(stage, Stage), entry.module
    return stage


def stage_command(entry: StageEntry) -> click.Command:
    """A stage's command, made from its help and its options."""
    stage = load_stage(entry)
    options: type = stage.options
    parameters: list[click.Parameter] = []
    if any(setting.section == "set" for setting in declared(options)):
        parameters.append(click.Argument(["sources"], nargs=-1, metavar="SRC..."))
    parameters.append(click.Argument(["root"], metavar="SET", type=SET))
    parameters += options_from(options)
    parameters += [
        click.Option(
            ["--dry-run", "--plan"], is_flag=True, help="Show what would be decided; only measurements are stored."
        ),
        click.Option(["--force"], is_flag=True, help="Run even if the stage is up to date."),
        click.Option(
            ["--stale"],
            type=click.Choice(["update", "use"]),
            default=UPDATING if entry.name == "train" else "use",
            show_default=True,
            help="What to do where an earlier stage would decide otherwise now, as its settings or what it reads changed: "
            "update runs it first, use goes on with what was decided, and says so.",
        ),
        click.Option(["--save"], is_flag=True, help="Write the flags given here into SET/prep.toml, to be kept."),
        click.Option(["as_json", "--json"], is_flag=True, help="Print one JSON document to stdout."),
    ]
    if stage.preview is not None:
        parameters.append(click.Option(["look", stage.preview.flag], is_flag=True, help=stage.preview.help))
    return verbose_option(
        click.Command(
            entry.name,
            params=parameters,
            callback=functools.partial(_called, stage),
            short_help=entry.help,
            help=stage.help.strip(),
        )
    )


@dataclass(frozen=True, slots=True)
class Request:
    """What was typed: the set, sources to add to it, flags (only those given), and how to run and print."""

    root: Path
    sources: tuple[str, ...]
    flags: Mapping[str, Any]
    dry_run: bool
    force: bool
    as_json: bool
    stale: str = "use"
    save: bool = False
    look: bool = False


@click.pass_context
def _called(context: click.Context, /, stage: Stage[Any], **values: Any) -> None:
    flags = {key: value for key, value in given_flags(context, stage.options).items() if key != "sources"}
    names = ("dry_run", "force", "as_json", "stale", "save", "look")
    switches = {name: values[name] for name in names if name in values}
    run_command(stage, Request(values["root"], values.get("sources", ()), flags, **switches))


def run_command(stage: Stage[Any], request: Request) -> None:
    """Run or preview one stage on a set and print what came of it."""
    root = request.root
    given = settings_of(root)
    settings = with_sources(given, request.sources)
    if owner := differing_owner(root):
        console.warn(
            f"{owner} owns the settings of this set and differs from {root / FILE}; prep run {owner} applies it"
        )
    found = resolved(stage.name, stage.options, settings, request.flags)
    if request.save:
        _refuse_saving(root, request)
    first = stage.name == STAGES[0].name
    if first:
        check_folder(root, settings.sources, console.agreed)
    with open_write(root, stage.name, create=first, dry_run=request.dry_run or request.look) as manifest:
        if request.look and stage.preview is not None:
            _look(stage.preview.lines(manifest, found.options), request.as_json)
            return
        _mind_stale(manifest, stage, settings, request)
        if request.dry_run:
            _preview(manifest, stage, found.options, request.as_json)
            return
        remember(root, given, settings)
        with console.progress_bars(keep=verbose()) as bars:
            show_plan = None if request.as_json else functools.partial(stage_screen.show_plan_between, bars)
            outcome = run_stage(manifest, stage, found.options, bars, request.force, found.origins, show_plan)
        console.print_json(console.outcome_json(outcome)) if request.as_json else stage_screen.show_outcome(outcome)
    if not request.as_json:
        console.say(f"next: {stage_screen.next_command(stage.name, root)}")
    if request.save:
        keep_settings(root, stage.name, request.flags)
        console.say(f"kept under [{stage.name}] in {root / FILE}: {', '.join(request.flags)}")
        return
    stated = settings.stages.get(stage.name, {})
    if any(key not in stated or stated[key] != value for key, value in request.flags.items()):
        console.say(
            f"flags apply to this run only; to keep them, add them to [{stage.name}] in {root / FILE}, or give --save"
        )


def _refuse_saving(root: Path, request: Request) -> None:
    """Flags are kept where they were given and used, in a prep.toml that owns the set's settings."""
    if not request.flags:
        raise PrepError(
            "--save keeps the flags that are given, and none is", "give it beside a setting, or leave it out"
        )
    if request.dry_run:
        raise PrepError("--save writes prep.toml, and --dry-run writes nothing", "give one of them")
    if owner := owner_of(root):
        raise PrepError(
            f"--save: the settings of this set are those of {owner}, not of {root / FILE}",
            f"write them there, and apply it with: prep run {owner}",
        )


def _mind_stale(manifest: Manifest, stage: Stage[Any], settings: Settings, request: Request) -> None:
    """Bring earlier stages up to date, or say which are not."""
    for name, found in stale_stages(manifest, settings, before(stage.name)):
        if request.stale == UPDATING and not request.dry_run:
            console.say(f"{name} is brought up to date first: {found.why}")
            with console.progress_bars(keep=verbose()) as bars:
                outcome = run_stage(manifest, found.stage, found.options.options, bars, origins=found.options.origins)
            if not request.as_json:
                stage_screen.show_outcome(outcome)
        else:
            warn_stale(manifest, name, found)


def stale_stages(manifest: Manifest, settings: Settings, names: Iterable[str]) -> Iterator[tuple[str, Stale]]:
    """Those of the stages that would decide otherwise now, each judged when the one before it was dealt with."""
    if not (manifest.root / MANIFEST).exists():
        return
    for name in names:
        found = stale(manifest, load_stage(next(entry for entry in STAGES if entry.name == name)), settings)
        if found is not None:
            yield name, found


def warn_stale(manifest: Manifest, name: str, found: Stale) -> None:
    console.warn(f"{name} is stale: {found.why}; bring it up to date with: prep {name} {manifest.root}")


def _look(lines: Sequence[str], as_json: bool) -> None:
    if as_json:
        console.print_json({"lines": list(lines)})
        return
    for line in lines:
        console.say(line)


def _preview(manifest: Manifest, stage: Stage[OptionsT], options: OptionsT, as_json: bool) -> None:
    with console.progress_bars(keep=verbose()) as progress:
        plan = preview_stage(manifest, stage, options, progress)
    if as_json:
        console.print_json(console.preview_json(manifest, plan))
    else:
        stage_screen.show_preview(manifest, plan)
