"""How often tags stand in captions, beside which others, and what training can learn of them."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import click

from pipeline.cli.commands.tags.asking import FILTERS, OUTPUT, ROOT, Row, ask, note_unknown, tags_of, with_options
from pipeline.store.manifest import Manifest
from pipeline.tags.editor import queries
from pipeline.tags.editor.filters import Selection
from pipeline.tags.statistics.coverage import ALWAYS_PRESENT, BALANCED, TOO_FEW

VERDICTS = {
    "always-present": ALWAYS_PRESENT,
    "promptable": BALANCED,
    "few": TOO_FEW,
    "never-absent": queries.NEVER_ABSENT,
}
ADVICE = (
    "A tag can be prompted for and left out where images show it present and absent; what is always present becomes a part of "
    "the trigger word (Stable Diffusion LoRA training science and notes, rentry)"
)


@click.command("list", short_help="Count tags.")
@with_options(ROOT, *FILTERS, *OUTPUT)
@click.option("--by-concept", is_flag=True, help="Count in every concept on its own.")
@click.option("--considered", is_flag=True, help="Count what curation considered instead, and what became of it.")
@click.option("--rare", is_flag=True, help="The rarest first.")
def list_(root: Path, by_concept: bool, considered: bool, rare: bool, **values: Any) -> None:
    """Count tags: how many captions have each, and what share of them."""

    def question(manifest: Manifest, selection: Selection) -> Iterable[Row]:
        rows = (
            queries.considered(manifest, selection, by_concept) if considered else queries.listed(selection, by_concept)
        )
        return reversed(rows) if rare else rows

    ask(root, values, question)


@click.command(short_help="Show which tags occur together.")
@with_options(ROOT)
@click.argument("tag", required=False)
@with_options(*FILTERS, *OUTPUT)
@click.option(
    "--at-least",
    type=click.IntRange(min=1),
    default=5,
    show_default=True,
    help="Images that must have both, where no TAG is given.",
)
def pairs(root: Path, tag: str | None, at_least: int, **values: Any) -> None:
    """Show which tags occur together: with TAG, what stands beside it; else the pairs with the largest lift."""

    def question(manifest: Manifest, selection: Selection) -> Iterable[Row]:
        if tag is None:
            return queries.pairs(selection, at_least)
        meant = selection.names.of(tag)
        note_unknown(selection, [meant])
        return queries.pairs_of(selection, meant)

    ask(root, values, question)


@click.command(short_help="Show what training can learn of every tag.")
@with_options(ROOT, *FILTERS, *OUTPUT)
@click.option("--tag", "tags", multiple=True, help="Only this tag. Repeatable.")
@click.option("--verdict", type=click.Choice(list(VERDICTS)), help="Only tags of which this is said.")
@click.option(
    "--few",
    type=click.IntRange(min=1),
    default=5,
    show_default=True,
    help="Images with a tag below which it is too few to learn.",
)
@click.option(
    "--always",
    type=click.FloatRange(0, 1, min_open=True),
    default=0.95,
    show_default=True,
    help="Share of what is shown from which a tag is called always present.",
)
def coverage(root: Path, tags: tuple[str, ...], verdict: str | None, few: int, always: float, **values: Any) -> None:
    """Show of every concept and tag how often training sees images with it and without it, repeats counted, and what
    follows from that."""

    def question(manifest: Manifest, selection: Selection) -> Iterable[Row]:
        named = {selection.names.of(tag) for tag in tags_of(tags)}
        note_unknown(selection, sorted(named))
        return [
            row
            for row in queries.covered(manifest, selection, few, always)
            if (not named or row["tag"] in named) and verdict in (None, _verdict_key(row["verdict"]))
        ]

    ask(root, values, question, advice=lambda rows: ADVICE if rows else "")


def _verdict_key(text: str) -> str:
    return next((key for key, said in VERDICTS.items() if said == text), "")
