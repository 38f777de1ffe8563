"""The command `prep`: a list of commands, each loaded only when it is used, and the one place that renders errors."""

from __future__ import annotations

import errno
import functools
import gc
import os
import sys
import warnings
from collections.abc import Callable, Sequence
from typing import Any

import click

from pipeline.cli.command_list import COMMANDS
from pipeline.cli.repeated import refuse_repeated
from pipeline.config.registry import STAGES
from pipeline.core.errors import PrepError
from pipeline.store.failures import CannotUse, explained

INTERRUPTED = 130
COLLECT_AFTER = (200_000, 20, 100)
"""A large plan makes records by the hundred thousand and no rings of them: looking for rings takes a quarter of its time."""


class Commands(click.Group):
    """`prep`: knows every command by name and first line, and imports one only to show or run it."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return [entry.name for entry in (*STAGES, *COMMANDS)]

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        from pipeline.cli.stage_command import stage_command

        for entry in STAGES:
            if entry.name == cmd_name:
                return stage_command(entry)
        for command in COMMANDS:
            if command.name == cmd_name:
                return command.load()
        return None

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        names = self.list_commands(ctx)
        if args and args[0] not in names and not args[0].startswith("-"):
            from pipeline.config.settings import nearest

            near = nearest(args[0], names)
            meant = f" Did you mean {near}?" if near else ""
            ctx.fail(f"No such command {args[0]!r}.{meant} Known: {', '.join(names)}.")
        name, command, rest = super().resolve_command(ctx, args)
        if command is not None:
            refuse_repeated(command, ctx, rest)
        return name, command, rest

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
        os.environ.setdefault("TRANSFORMERS_VERBOSITY", "error")  # it advises on libraries that nothing here needs
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
        console.say(f"stopped{where}; finished work is kept, run the same command again to continue")
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

    Every stage works on a SET, a folder that `prep flatten` makes. A stage can be previewed (--dry-run), gives a reason
    for each decision, and is skipped when nothing changed. Settings are read from SET/prep.toml.
    """


def main() -> None:
    prep()


if __name__ == "__main__":
    main()
