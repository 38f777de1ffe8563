"""Look at a set in the browser, and decide."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import TYPE_CHECKING

import click

from pipeline.cli import console
from pipeline.cli.set_folder import SET
from pipeline.core.humanize import counted

if TYPE_CHECKING:
    from pipeline.review.server.serving import Started


@click.command(short_help="Look at a set in the browser, and decide.")
@click.argument("root", metavar="SET", type=SET)
@click.option(
    "--port", type=click.IntRange(0, 65535), default=0, help="Port of this machine.  [default: one that is free]"
)
@click.option("--browser/--no-browser", default=True, help="Open the browser, or only print the address.")
@click.option("as_json", "--json", is_flag=True, help="Print one line of JSON with the address and the process.")
def command(root: Path, port: int, browser: bool, as_json: bool) -> None:
    """Look at a set in the browser, and decide.

    Starts a desk that this machine alone can reach, for as long as the command runs; everything works by keyboard, and ?
    lists the keys. What you decide there is written down at once, as from the command line: prep log shows it, prep undo takes it
    back, and every later run of a stage keeps to it. Ctrl-C ends the desk.
    """
    from pipeline.review.server.serving import serve
    from pipeline.store.manifest import Manifest

    Manifest.open(root).close()

    def told(started: Started) -> None:
        if as_json:
            click.echo(json.dumps({"set": str(root), "address": started.address, "process": os.getpid()}))
            return
        click.echo(started.address)
        console.say(
            f"{counted(started.images, 'image')}, {started.kept:,} kept; decisions go into {root}/manifest.db at once"
        )
        console.say("Ctrl-C ends the desk")

    runs = serve(root, port, browser and not as_json, told)
    if not as_json:
        console.say(
            f"{counted(len(runs), 'decision')} made; see them with: prep log {root}; next: prep status {root}"
            if runs
            else f"nothing was decided; next: prep status {root}"
        )
