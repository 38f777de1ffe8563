"""Why a tag is in a caption, or why it is not."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from pipeline.cli import console
from pipeline.cli.commands.tags.asking import OUTPUT, ROOT, print_rows, with_options
from pipeline.core.errors import PrepError
from pipeline.store.caption_files import captions
from pipeline.store.manifest import Manifest
from pipeline.store.opening import open_read
from pipeline.store.records import Image
from pipeline.store.wording import sentence
from pipeline.tags.editor.explain import Answer, answer, gather
from pipeline.tags.editor.filters import fits
from pipeline.tags.editor.spelling import Names, categories_of
from pipeline.tags.vocabulary.aliases import split_caption

LISTED = 20
"""Paths that an error names."""


@click.command(short_help="Tell why a tag is in a caption, or why it is not.")
@with_options(ROOT)
@click.argument("image")
@click.argument("tag", required=False)
@with_options(*OUTPUT)
def why(root: Path, image: str, tag: str | None, **values: Any) -> None:
    """Tell why TAG is in the caption of IMAGE, or why it is not; without TAG, what became of every tag.

    IMAGE is a path in the set, or a part of one that only one image has.
    """
    with open_read(root) as manifest:
        found = _one_image(manifest, image)
        texts = captions(manifest)
        asked = gather(manifest, found, texts.get(found.path, ""))
        names = Names(categories_of(manifest), (each for text in texts.values() for each in split_caption(text)))
    if tag is None:
        if not values["as_json"]:
            console.say(f"{found.path}: {asked.caption or 'no caption'}")
        rows = ({"tag": row.tag, "action": row.action.value, "reason": sentence(row)} for row in asked.rows)
        print_rows(root, rows, values, image=found.path, caption=asked.caption)
        return
    why = answer(asked, names.of(tag), names)
    if values["as_json"]:
        console.print_json({"set": str(root), **why.as_json()})
    else:
        _explain(why)


def _one_image(manifest: Manifest, image: str) -> Image:
    found = [each for each in manifest.images() if fits(each.path, image)]
    exact = [each for each in found if each.path == image]
    if len(found) != 1 and not exact:
        some = "\n".join(each.path for each in found[:LISTED])
        more = f"\nand {len(found) - LISTED} more" if len(found) > LISTED else ""
        raise PrepError(
            f"{len(found)} images match {image!r}" + (f":\n{some}{more}" if found else ""),
            "give more of its path" if found else f"list them with: prep tags find {manifest.root}",
        )
    return exact[0] if exact else found[0]


def _explain(why: Answer) -> None:
    """The answer as lines."""
    where = "in the caption" if why.in_caption else "not in the caption"
    click.echo(console.printable(f"{why.tag}: {where} of {why.image}"))
    click.echo(console.printable(f"because     {why.because}"))
    for row in why.rows:
        click.echo(console.printable(f"curation    {row.tag}: {row.action}, {sentence(row)}"))
    for score in why.scores:
        limit = "" if score.threshold is None else f", its threshold is {score.threshold:.2f}"
        said = "knows no such tag" if not score.known else "below 0.01" if score.score is None else f"{score.score:.2f}"
        click.echo(console.printable(f"score       {said}{limit} ({score.tagger})"))
    for edit in why.edits:
        click.echo(console.printable(f"your edit   {' '.join(edit[:2])}{f' to {edit[2]}' if len(edit) > 2 else ''}"))
    if why.near:
        click.echo(console.printable(f"near it     {', '.join(why.near)}"))
    click.echo(console.printable(f"caption     {why.caption}{' (manual)' if why.by_person else ''}"))
