"""The command `prep`: a list of commands, each loaded only when it is used, and the one place that renders errors."""

from __future__ import annotations

import difflib
import errno
import functools
import gc
import inspect
import sys
import warnings
from collections.abc import Callable, Sequence
from pathlib import Path
from types import ModuleType
from typing import Any

import click

from pipeline.config.registry import COMMANDS, STAGES, Command
from pipeline.core.errors import PrepError
from pipeline.store.failures import CannotUse, explained

INTERRUPTED = 130
COLLECT_AFTER = (200_000, 20, 100)
"""A large plan makes records by the hundred thousand and no rings of them: looking for rings takes a quarter of its time."""


class Commands(click.Group):
    """`prep`: knows every command by name and first line, and imports one only to show or run it."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return [entry.name for entry in STAGES + COMMANDS]

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        for entry in STAGES:
            if entry.name == cmd_name:
                return stage_command(entry)
        for entry in COMMANDS:
            if entry.name == cmd_name:
                command: click.Command = entry.load().command
                return command
        return None

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        names = self.list_commands(ctx)
        if args and args[0] not in names and not args[0].startswith("-"):
            near = difflib.get_close_matches(args[0], names, 1)
            meant = f" Did you mean {near[0]!r}?" if near else ""
            ctx.fail(f"No such command {args[0]!r}.{meant} Known: {', '.join(names)}.")
        return super().resolve_command(ctx, args)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        for title, entries in (("Stages, in their order", STAGES), ("Other commands", COMMANDS)):
            with formatter.section(title):
                formatter.write_dl([(entry.name, entry.help) for entry in entries])

    def main(
        self,
        args: Sequence[str] | None = None,
        prog_name: str | None = None,
        complete_var: str | None = None,
        standalone_mode: bool = True,
        **extra: Any,
    ) -> Any:
        """Run, and end the process with 0 done, 1 a problem the user can mend, 2 usage, 130 interrupted."""
        for stream in (sys.stdout, sys.stderr):
            if hasattr(stream, "reconfigure"):
                stream.reconfigure(errors="backslashreplace")
        warnings.filterwarnings("ignore", module="PIL")
        gc.set_threshold(*COLLECT_AFTER)
        if not standalone_mode:
            return super().main(args, prog_name, complete_var, False, **extra)
        run = functools.partial(super().main, args, prog_name, complete_var, False, **extra)
        sys.exit(_exit_code(run))


def _exit_code(run: Callable[[], Any]) -> int:
    from pipeline.cli import console

    try:
        code = run()
        return code if isinstance(code, int) else 0
    except click.ClickException as error:
        error.show()
        return error.exit_code
    except PrepError as error:
        console.fail(error)
    except (KeyboardInterrupt, click.Abort) as stop:
        click.echo(err=True)
        where = f" {stop}" if str(stop) else ""
        console.say(f"stopped{where}; what is done is kept, and the same command goes on from there")
        return INTERRUPTED
    except BrokenPipeError:
        sys.stderr.close()
    except (OSError, CannotUse) as error:
        console.fail(_mendable(error))
    return 1


def _mendable(error: OSError | CannotUse) -> PrepError:
    """A failure of the machine, in the words of a person's problem."""
    if isinstance(error, CannotUse):
        return explained(error)
    where = f" ({error.filename})" if error.filename else ""
    hints = {
        errno.ENOSPC: "make room on the disk and run the same again",
        errno.EACCES: "allow yourself to read and write there",
        errno.EROFS: "choose a set on a disk that can be written to",
        errno.ENAMETOOLONG: "choose shorter names",
    }
    return PrepError(f"{error.strerror or error}{where}", hints.get(error.errno or 0, ""))


# --- a stage as a command


def stage_command(entry: Command) -> click.Command:
    """A stage's command, made from its docstring and its Options."""
    from pipeline.cli.options import options_from
    from pipeline.cli.set_folder import SET
    from pipeline.config.settings import declared

    stage = entry.load()
    parameters: list[click.Parameter] = []
    if any(setting.section == "set" for setting in declared(stage.Options)):
        parameters.append(click.Argument(["sources"], nargs=-1, metavar="SRC..."))
    parameters.append(click.Argument(["root"], metavar="SET", type=SET))
    parameters += options_from(stage.Options)
    parameters += [
        click.Option(
            ["--dry-run", "--plan"], is_flag=True, help="Show what would be decided; write nothing but measurements."
        ),
        click.Option(["--force"], is_flag=True, help="Run even when nothing changed since the last run."),
        click.Option(["as_json", "--json"], is_flag=True, help="Print one JSON document to stdout."),
    ]
    return click.Command(
        entry.name,
        params=parameters,
        callback=_callback(entry, stage),
        short_help=entry.help,
        help=inspect.cleandoc(stage.__doc__ or ""),
    )


def _callback(entry: Command, stage: ModuleType) -> Any:
    @click.pass_context
    def run(context: click.Context, /, **values: Any) -> None:
        from pipeline.cli.options import given_flags

        flags = given_flags(context, stage.Options)
        run_command(
            entry,
            stage,
            values["root"],
            values.get("sources", ()),
            flags,
            dry_run=values["dry_run"],
            force=values["force"],
            as_json=values["as_json"],
        )

    return run


def run_command(
    entry: Command,
    stage: ModuleType,
    root: Path,
    sources: tuple[str, ...],
    flags: dict[str, Any],
    *,
    dry_run: bool,
    force: bool,
    as_json: bool,
) -> None:
    """Run or preview one stage on a set and print what came of it."""
    from pipeline.cli import console
    from pipeline.config.settings import FILE, resolved, settings_of
    from pipeline.sources.source_list import remember, with_sources
    from pipeline.store.opening import open_write
    from pipeline.store.runner import preview_stage, run_stage

    given = settings_of(root)
    settings = with_sources(given, sources)
    flags = {key: value for key, value in flags.items() if key != "sources"}
    found = resolved(entry.name, stage.Options, settings, flags)
    options = found.options
    first = entry == STAGES[0]
    with open_write(root, entry.name, create=first, dry_run=dry_run) as manifest:
        if dry_run:
            with console.progress_bars() as progress:
                plan = preview_stage(manifest, stage, options, progress)
            if as_json:
                console.print_json(console.preview_json(manifest, plan))
            else:
                console.show_preview(manifest, plan)
            return
        remember(root, given, settings)
        with console.progress_bars() as bars:
            announce = None if as_json else functools.partial(console.announce, bars)
            outcome = run_stage(manifest, stage, options, bars, force, found.origins, announce)
        console.print_json(console.outcome_json(outcome)) if as_json else console.show_outcome(outcome)
    stated = settings.stages.get(entry.name, {})
    if any(key not in stated or stated[key] != value for key, value in flags.items()):
        console.say(f"flags hold for this run only; to keep them, write them under [{entry.name}] in {root / FILE}")


def _show_version(context: click.Context) -> None:
    import importlib.metadata

    try:
        click.echo(f"prep {importlib.metadata.version('lora-prep')}")
    except importlib.metadata.PackageNotFoundError:
        click.echo("prep, not installed, run from its source")
    context.exit()


@click.group(cls=Commands, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110})
@click.option(
    "--version",
    is_flag=True,
    is_eager=True,
    expose_value=False,
    help="Show the version and exit.",
    callback=lambda context, _, wanted: _show_version(context) if wanted else None,
)
def prep() -> None:
    """From folders of images to a trained Stable Diffusion adapter.

    Every stage works on a SET, a folder that `prep flatten` makes. A stage can be previewed (--dry-run), prints why
    it decided what it did, and is skipped when nothing changed. Settings stand in SET/prep.toml.
    """


def main() -> None:
    prep()


if __name__ == "__main__":
    main()
