"""What the rules of curation did, and tags that look misspelt."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from pipeline.cli.commands.tags.asking import FILTERS, OUTPUT, ROOT, ask, with_options
from pipeline.tags.editor import queries
from pipeline.tags.editor.implied import implied_in


@click.command(short_help="Show what each rule of curation did.")
@with_options(ROOT, *FILTERS, *OUTPUT)
def rules(root: Path, **values: Any) -> None:
    """Show what each rule of curation did: how often, in how many images, to which tags."""
    ask(root, values, queries.rules_of)


@click.command(short_help="Show which general tags exact ones imply.")
@with_options(ROOT, *FILTERS, *OUTPUT)
@click.option(
    "--implications",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="A board's implications, as CSV; those of the last curation if not given.",
)
def implied(root: Path, implications: Path | None, **values: Any) -> None:
    """Show which general tags the exact ones of a set imply, and how many captions would have each: where the exact tags of
    its class are kept (specific), both, or the general one. Choose with `prep curate --levels CLASS=LEVEL`."""
    ask(
        root,
        values,
        lambda manifest, selection: implied_in(manifest, selection, implications),
        advice=lambda rows: f"choose with: prep curate {root} --levels {rows[0]['class']}=both" if rows else "",
    )


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
