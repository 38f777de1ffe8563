"""Adding, removing and replacing tags in many captions at once."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import click

from pipeline.cli import console
from pipeline.cli.commands.tags.asking import FILTERS, OUTPUT, ROOT, filter_of, note_unknown, tags_of, with_options
from pipeline.core.errors import PrepError
from pipeline.store.caption_files import take_in
from pipeline.store.opening import open_write
from pipeline.tags.captions.manual_edits import ADD, REMOVE, REPLACE, Edit
from pipeline.tags.editor.bulk_edits import Edited, plan_edits, record
from pipeline.tags.editor.filters import Filter, Selection, select

TAGS = click.argument("tags", metavar="TAG...", nargs=-1, required=True)
EDITING = (
    click.option("everything", "--all", is_flag=True, help="Edit every kept image; needed where no filter is given."),
    click.option("--dry-run", is_flag=True, help="Show what would change; write nothing."),
)


@click.command(short_help="Add tags to captions.")
@with_options(ROOT, TAGS, *FILTERS, *EDITING, *OUTPUT)
def add(root: Path, tags: tuple[str, ...], **values: Any) -> None:
    """Add tags to captions; adding what you removed takes that back."""
    _edit(root, "add", tags, None, values)


@click.command(short_help="Remove tags from captions.")
@with_options(ROOT, TAGS, *FILTERS, *EDITING, *OUTPUT)
def remove(root: Path, tags: tuple[str, ...], **values: Any) -> None:
    """Remove tags from captions, and from every later caption of these images."""
    _edit(root, "remove", tags, None, values)


@click.command(short_help="Replace tags by another one.")
@with_options(ROOT)
@click.argument("tags", metavar="TAG... to NEW", nargs=-1, required=True)
@with_options(*FILTERS, *EDITING, *OUTPUT)
def replace(root: Path, tags: tuple[str, ...], **values: Any) -> None:
    """Replace one or several tags by another one: `prep tags replace SET boots "red footwear" to "red boots" --all`."""
    if len(tags) < 3 or tags[-2] != "to":
        raise click.UsageError("name the new tag after the word to, as in: prep tags replace SET boots to shoes --all")
    _edit(root, "replace", tags[:-2], tags[-1], values)


def _edit(root: Path, what: str, typed: Sequence[str], new: str | None, values: Mapping[str, Any]) -> None:
    wanted = filter_of(values)
    if not (wanted.is_given or values["everything"]):
        raise click.UsageError("choose images with --concept, --image, --with or --without, or --all for every one")
    dry_run = values["dry_run"]
    with open_write(root, f"tags {what}") as manifest:
        take_in(manifest)
        selection = select(manifest, wanted)
        edits = _edits_meant(selection, what, typed, new)
        if not selection.images:
            raise PrepError("no kept image matches", f"list them with: prep tags find {root}")
        edited = plan_edits(manifest, (shown.path for shown in selection.images), edits)
        nothing = dry_run or not edited.rows
        run = None if nothing else record(manifest, edited, _options(edits, wanted, len(selection.images)))
    if values["as_json"]:
        _print_edited(root, edited, run, values)
    else:
        _show_edited(root, edited, run, values)


def _edits_meant(selection: Selection, what: str, typed: Sequence[str], new: str | None) -> list[Edit]:
    """The edits, in the spelling of the set.

    Raises:
        PrepError: there is no tag, or none of the set has the name of one to take away.
    """
    tags = list(dict.fromkeys(selection.names.of(tag, board=what != ADD) for tag in tags_of(typed)))
    targets = [selection.names.of(tag, board=False) for tag in tags_of([new])] if new is not None else []
    if not tags or (new is not None and len(targets) != 1):
        raise PrepError("no tag is given" if not tags else f"{new!r} is not one tag", "give one tag, without commas")
    if what == ADD:
        note_unknown(selection, tags)
        return [(ADD, tag) for tag in tags]
    lost = [tag for tag in tags if not selection.names.is_known(tag)]
    if lost:
        near = selection.names.near(lost[0])
        raise PrepError(
            f"no tag of this set is called {lost[0]}",
            f"near it are: {', '.join(near)}" if near else "list the tags with: prep tags list SET",
        )
    if what == REMOVE:
        return [(REMOVE, tag) for tag in tags]
    note_unknown(selection, targets)
    return [(REPLACE, tag, targets[0]) for tag in tags]


def _options(edits: Sequence[Edit], wanted: Filter, images: int) -> dict[str, Any]:
    return {
        "edits": [list(edit) for edit in edits],
        "concept": wanted.concept,
        "image": wanted.image,
        "with": list(wanted.having),
        "without": list(wanted.lacking),
        "images": images,
    }


def _print_edited(root: Path, edited: Edited, run: int | None, values: Mapping[str, Any]) -> None:
    shown, left = console.selected(edited.changed, values["limit"])
    rows = [
        {"image": each.path, "before": each.before, "after": each.after, "by_person": each.by_person} for each in shown
    ]
    document = {"set": str(root), "run": run, "dry_run": values["dry_run"], "counts": dict(edited.counts)}
    console.print_json({**document, "left_off": left, "rows": rows})


def _show_edited(root: Path, edited: Edited, run: int | None, values: Mapping[str, Any]) -> None:
    console.print_counts(dict(edited.counts.most_common()))
    if values["dry_run"]:
        shown, left = console.selected(edited.changed, values["limit"])
        for each in shown:
            words = console.word_diff(each.before, each.after)
            click.echo(f"{console.printable(each.path)}{' (manual)' if each.by_person else ''}\n    {words}")
        if left:
            console.say(f"… and {left} more; --limit 0 shows all")
        console.say("nothing was written")
    elif run is None:
        console.say("nothing to do: no caption would change")
    else:
        console.say(f"run {run}: see it with: prep diff {root} {run}; take it back with: prep undo {root} {run}")
