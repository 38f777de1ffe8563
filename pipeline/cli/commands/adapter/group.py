"""Look at adapter files, convert them for other programs, merge, extract and resize them."""

from __future__ import annotations

import click

from pipeline.cli.commands.adapter.convert import convert
from pipeline.cli.commands.adapter.extract import extract
from pipeline.cli.commands.adapter.info import info
from pipeline.cli.commands.adapter.merge import merge
from pipeline.cli.commands.adapter.resize import resize


@click.group(short_help="Look at adapter files, convert, merge, extract and resize them.")
def command() -> None:
    """Look at adapter files, convert them for other programs, merge, extract and resize them."""


for each in (info, convert, merge, extract, resize):
    command.add_command(each)
