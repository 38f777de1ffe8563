"""What the subcommands have in common: which images are meant, what is asked of them, and how rows are printed."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar

import click

from pipeline.cli import console
from pipeline.cli.set_folder import SET
from pipeline.store.manifest import Manifest
from pipeline.store.opening import open_read
from pipeline.tags.editor.filters import Filter, Selection, select
from pipeline.tags.vocabulary.aliases import split_caption

Command = TypeVar("Command", bound=Callable[..., Any])
Row = Mapping[str, Any]
ROOT = click.argument("root", metavar="SET", type=SET)
OUTPUT = (
    click.option(
        "--limit", type=click.IntRange(min=0), default=50, show_default=True, help="Most rows shown; 0 shows all."
    ),
    click.option("as_json", "--json", is_flag=True, help="Print one JSON document to stdout."),
)
FILTERS = (
    click.option("--concept", help="Only images of this concept and the ones below it."),
    click.option("--image", help="Only images whose path contains this or matches this pattern."),
    click.option("having", "--with", multiple=True, metavar="TAG", help="Only captions with this tag. Repeatable."),
    click.option("lacking", "--without", multiple=True, metavar="TAG", help="Only captions without it. Repeatable."),
)


def with_options(*parts: Callable[[Command], Command]) -> Callable[[Command], Command]:
    """Decorate a command with arguments and options, listed in this order."""

    def decorate(function: Command) -> Command:
        for part in reversed(parts):
            function = part(function)
        return function

    return decorate


def filter_of(values: Row) -> Filter:
    """The filter that the options `FILTERS` stand for."""
    return Filter(
        concept=values["concept"],
        image=values["image"],
        having=tags_of(values["having"]),
        lacking=tags_of(values["lacking"]),
    )


def tags_of(typed: Iterable[str]) -> tuple[str, ...]:
    """Tags as typed, apart or with commas between them."""
    return tuple(tag for text in typed for tag in split_caption(text))


def ask(
    root: Path,
    values: Row,
    question: Callable[[Manifest, Selection], Iterable[Row]],
    *,
    cells: Callable[[Row], Row] = lambda row: row,
    advice: Callable[[Sequence[Row]], str] | None = None,
) -> None:
    """Select images, ask a question about them, and print its rows.

    Args:
        values: the values of `FILTERS` and `OUTPUT`.
        cells: what the table shows of a row; JSON has all of it.
        advice: what to do about these rows, printed below the table; "" for nothing. Without it, rows that `--limit` leaves
            off are counted and not held.
    """
    with open_read(root) as manifest:
        selection = select(manifest, filter_of(values))
        rows = question(manifest, selection)
        if advice is not None:
            rows = list(rows)
        print_rows(root, rows, values, cells, images=len(selection.images))
    if advice is not None and not values["as_json"] and (words := advice(list(rows))):
        console.say(words)


def print_rows(
    root: Path,
    rows: Iterable[Row],
    values: Row,
    cells: Callable[[Row], Row] = lambda row: row,
    **more: Any,
) -> None:
    """Print rows as a table, or all that is known as one JSON document."""
    found, left = console.selected(rows, values["limit"])
    if values["as_json"]:
        console.print_json({"set": str(root), **more, "left_off": left, "rows": found})
        return
    console.print_table([cells(row) for row in found])
    if left:
        console.say(f"… and {left} more; --limit 0 shows all")
    if not found:
        console.say("nothing found")


def note_unknown(selection: Selection, tags: Iterable[str]) -> None:
    """Tell of tags that neither a caption nor a tagger of the set has."""
    for tag in tags:
        if not selection.names.is_known(tag):
            near = selection.names.near(tag)
            console.say(f"no tag of this set is called {tag}" + (f"; near it are {', '.join(near)}" if near else ""))
