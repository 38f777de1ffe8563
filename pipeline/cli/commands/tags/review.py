"""What the rules of curation did, and tags that look misspelt."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from pipeline.cli.commands.tags.asking import FILTERS, OUTPUT, ROOT, ask, with_options
from pipeline.tags.editor import queries


@click.command(short_help="Show what each rule of curation did.")
@with_options(ROOT, *FILTERS, *OUTPUT)
def rules(root: Path, **values: Any) -> None:
    """Show what each rule of curation did: how often, in how many images, to which tags."""
    ask(root, values, queries.rules_of)


@click.command(short_help="List tags that look misspelt.")
@with_options(ROOT, *FILTERS, *OUTPUT)
def spelling(root: Path, **values: Any) -> None:
    """List tags of captions that look like a misspelt trigger word, or like another spelling of a known tag."""
    ask(
        root,
        values,
        queries.misspelt_in,
        advice=lambda rows: f"fix them with: prep tags replace {root} TAG to MEANT --with TAG" if rows else "",
    )
