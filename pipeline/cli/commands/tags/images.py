"""Which images have a tag, and which contradict the others of their concept."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import click

from pipeline.cli.commands.tags.asking import FILTERS, OUTPUT, ROOT, Row, ask, filter_of, note_unknown, with_options
from pipeline.store.manifest import Manifest
from pipeline.tags.editor import queries
from pipeline.tags.editor.filters import Selection


@click.command(short_help="List the images with these tags, or without.")
@with_options(ROOT)
@click.argument("tags", metavar="[TAG...]", nargs=-1)
@with_options(*FILTERS, *OUTPUT)
def find(root: Path, tags: tuple[str, ...], **values: Any) -> None:
    """List the images whose captions have all of these tags, with the tagger's score where there is one."""
    values["having"] = (*tags, *values["having"])
    wanted = filter_of(values)

    def question(manifest: Manifest, selection: Selection) -> Iterable[Row]:
        named = [selection.names.of(tag) for tag in (*wanted.having, *wanted.lacking)]
        note_unknown(selection, named)
        return queries.found_with(manifest, selection.images, named)

    ask(root, values, question, cells=_with_scores)


def _with_scores(row: Row) -> Row:
    scores = ", ".join(f"{tag} {score:.2f}" for tag, score in row["scores"].items() if score is not None)
    return {**row, "scores": scores}


@click.command(short_help="List images whose tags conflict with the others of their concept.")
@with_options(ROOT, *FILTERS, *OUTPUT)
@click.option("--attribute", help='Only this attribute, such as "hair colour".')
def contradictions(root: Path, attribute: str | None, **values: Any) -> None:
    """List the images whose tags conflict with the others of their concept, as curation found them, the likeliest errors
    first."""

    def advice(rows: Sequence[Row]) -> str:
        return (
            f'fix them with: prep curate {root} --contradictions fix --fix "ATTRIBUTE or image"'
            if any(not row.get("fixed") for row in rows)
            else ""
        )

    ask(
        root,
        values,
        lambda manifest, selection: queries.contradictions_of(manifest, selection, attribute),
        advice=advice,
    )
