"""What an adapter file is."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from pipeline.cli import console
from pipeline.cli.commands.adapter import flags
from pipeline.cli.commands.adapter.table import client_rows, facts


@click.command()
@flags.file
@click.option("--base", help=flags.BASE_HELP + " With it the norms of layers that depend on it are known.")
@flags.as_json
def info(file: Path, base: str | None, as_json: bool) -> None:
    """What a file is: algorithms, ranks, strength by block, metadata, and which programs render it."""
    from train.adapters.files.info import describe
    from train.adapters.files.reader import open_adapter

    found = describe(open_adapter(file), flags.checkpoint(base) if base else None)
    if as_json:
        console.print_json(found)
        return
    _show(found)


def _show(found: dict[str, Any]) -> None:
    lines = facts(found)
    width = max(map(len, lines))
    for name, value in lines.items():
        click.echo(f"{name:<{width}}  {console.printable(value)}")
    click.echo("")
    console.print_table(found["blocks"])
    click.echo("")
    console.print_table(client_rows(found["clients"]))
    for problem in found["problems"]:
        console.warn(problem)
    for key in found["unknown"]:
        console.warn(f"{key}: not a key of any known adapter")
