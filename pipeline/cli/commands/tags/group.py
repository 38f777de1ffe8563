"""Ask about the tags of a set, and edit them in bulk."""

from __future__ import annotations

import click

from pipeline.cli.commands.tags import counts, edits, images, review, why


@click.group("tags", short_help="Ask about the tags of a set, and edit them in bulk.")
def command() -> None:
    """Ask about the tags of a set, and edit them in bulk.

    Questions are answered from the captions that training would use now: your own where you wrote one, else those of
    `prep curate`. Edits are recorded as a run: see them with `prep diff SET`, take them back with `prep undo SET`; later
    runs of curate keep them. Put -- before a tag that begins with a dash.
    """


for each in (
    counts.list_,
    counts.pairs,
    counts.coverage,
    images.find,
    images.contradictions,
    why.why,
    review.rules,
    review.implied,
    review.spelling,
    edits.add,
    edits.remove,
    edits.replace,
):
    command.add_command(each)
