"""What an adapter file is."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from pipeline.cli import console
from pipeline.cli.adapter_table import client_rows, facts
from pipeline.cli.commands.adapter.flags import BASE_HELP, PATH, as_json, checkpoint_of, there


@click.command()
@click.argument("file", type=PATH, callback=there)
@click.option("--base", help=BASE_HELP + " With it the norms of layers that depend on it are known.")
@as_json
def info(file: Path, base: str | None, as_json: bool) -> None:
    """What a file is: algorithms, ranks, strength by block, metadata, and which programs render it."""
    from train.adapters.files.info import describe
    from train.adapters.files.reader import open_adapter

    found = describe(open_adapter(file), checkpoint_of(base) if base else None)
    if as_json:
        console.print_json(found)
        return
    _show_info(found)


def _show_info(found: dict[str, Any]) -> None:
    told = facts(found)
    width = max(map(len, told))
    for name, value in told.items():
        click.echo(f"{name:<{width}}  {console.printable(value)}")
    click.echo("")
    console.print_table(found["blocks"])
    click.echo("")
    console.print_table(client_rows(found["clients"]))
    for problem in found["problems"]:
        console.warn(problem)
    for key in found["unknown"]:
        console.warn(f"{key}: not a key of any known adapter")
