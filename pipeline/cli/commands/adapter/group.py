"""Look at adapter files, convert them for other programs, merge, extract and resize them."""

from __future__ import annotations

import click

from pipeline.cli.commands.adapter import convert, extract, info, merge, resize


@click.group("adapter", short_help="Look at adapter files, convert, merge, extract and resize them.")
def command() -> None:
    """Look at adapter files, convert them for other programs, merge, extract and resize them."""


for each in (info.info, convert.convert, merge.merge, extract.extract, resize.resize):
    command.add_command(each)
