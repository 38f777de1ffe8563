"""Ask about the tags of a set, and edit them in bulk."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar

import click

from pipeline.cli import console
from pipeline.cli.set_folder import SET
from pipeline.core.errors import PrepError
from pipeline.store.caption_files import captions, take_in
from pipeline.store.manifest import Manifest
from pipeline.store.opening import open_read, open_write
from pipeline.store.records import Image
from pipeline.tags.captions.manual_edits import ADD, REMOVE, REPLACE, Edit
from pipeline.tags.editor import queries
from pipeline.tags.editor.bulk_edits import Edited, plan_edits, record
from pipeline.tags.editor.explain import Answer, answer, gather
from pipeline.tags.editor.filters import Filter, Selection, fits, select
from pipeline.tags.editor.spelling import Names, categories_of
from pipeline.tags.statistics.coverage import ALWAYS_ON, BALANCED, TOO_FEW
from pipeline.tags.vocabulary.aliases import split_caption

Command = TypeVar("Command", bound=Callable[..., Any])
LISTED = 20
VERDICTS = {"absorbed": ALWAYS_ON, "promptable": BALANCED, "few": TOO_FEW, "never-off": queries.NEVER_OFF}
ADVICE = (
    "A tag can be prompted for and left out where images show it on and off; what is always on becomes a part of the "
    "trigger word (Stable Diffusion LoRA training science and notes, rentry)"
)


@click.group("tags", short_help="Ask about the tags of a set, and edit them in bulk.")
def command() -> None:
    """Ask about the tags of a set, and edit them in bulk.

    Questions are answered from the captions that hold now, a person's first. Edits are recorded as a run: look at it with
    `prep diff SET`, take it back with `prep undo SET`; they hold for every later curation. Put -- before a tag that begins
    with a dash.
    """


# --- what the commands have in common

_ROOT = click.argument("root", metavar="SET", type=SET)
_TAGS = click.argument("tags", metavar="TAG...", nargs=-1, required=True)
_OUTPUT = (
    click.option(
        "--limit", type=click.IntRange(min=0), default=50, show_default=True, help="Most rows shown; 0 shows all."
    ),
    click.option("as_json", "--json", is_flag=True, help="Print one JSON document to stdout."),
)
_FILTERS = (
    click.option("--concept", help="Only images of this concept and the ones below it."),
    click.option("--image", help="Only images whose path holds this or fits this pattern."),
    click.option("having", "--with", multiple=True, metavar="TAG", help="Only captions with this tag. Repeatable."),
    click.option("lacking", "--without", multiple=True, metavar="TAG", help="Only captions without it. Repeatable."),
)
_EDITING = (
    click.option("everything", "--all", is_flag=True, help="Edit every kept image; needed where no filter is given."),
    click.option("--dry-run", is_flag=True, help="Show what would change; write nothing."),
)


def _with(*parts: Callable[[Command], Command]) -> Callable[[Command], Command]:
    def decorate(function: Command) -> Command:
        for part in reversed(parts):
            function = part(function)
        return function

    return decorate


def _filter(values: Mapping[str, Any]) -> Filter:
    return Filter(
        concept=values["concept"],
        image=values["image"],
        having=_tags(values["having"]),
        lacking=_tags(values["lacking"]),
    )


def _tags(typed: Iterable[str]) -> tuple[str, ...]:
    """Tags as typed, apart or with commas between them."""
    return tuple(tag for text in typed for tag in split_caption(text))


def _tell(
    root: Path,
    rows: Iterable[Mapping[str, Any]],
    values: Mapping[str, Any],
    shown: Callable[[Mapping[str, Any]], Mapping[str, Any]] = lambda row: row,
    **more: Any,
) -> None:
    """Print rows as a table, or all that is known as one JSON document."""
    found, left = console.selected(rows, values["limit"])
    if values["as_json"]:
        console.print_json({"set": str(root), **more, "left_off": left, "rows": found})
        return
    console.print_table([shown(row) for row in found])
    if left:
        console.say(f"… and {left} more; --limit 0 shows all")
    if not found:
        console.say("nothing fits")


def _unknown(selection: Selection, tags: Iterable[str]) -> None:
    """Tell of tags that neither a caption nor a tagger of the set has."""
    for tag in tags:
        if not selection.names.is_known(tag):
            near = selection.names.near(tag)
            console.say(f"no tag of this set is called {tag}" + (f"; near it are {', '.join(near)}" if near else ""))


# --- questions


@command.command("list", short_help="Count tags.")
@_with(_ROOT, *_FILTERS, *_OUTPUT)
@click.option("--by-concept", is_flag=True, help="Count in every concept on its own.")
@click.option("--considered", is_flag=True, help="Count what curation considered instead, and what became of it.")
@click.option("--rare", is_flag=True, help="The rarest first.")
def list_(root: Path, by_concept: bool, considered: bool, rare: bool, **values: Any) -> None:
    """Count tags: how many captions have each, and what share of them."""
    with open_read(root) as manifest:
        selection = select(manifest, _filter(values))
        rows = queries.listed(selection, by_concept)
        if considered:
            rows = queries.considered(manifest, selection, by_concept)
    _tell(root, reversed(rows) if rare else rows, values, images=len(selection.images))


@command.command(short_help="Show which tags stand together.")
@_with(_ROOT)
@click.argument("tag", required=False)
@_with(*_FILTERS, *_OUTPUT)
@click.option(
    "--at-least",
    type=click.IntRange(min=1),
    default=5,
    show_default=True,
    help="Images that must show both, where no TAG is given.",
)
def pairs(root: Path, tag: str | None, at_least: int, **values: Any) -> None:
    """Show which tags stand together: with TAG, what stands beside it; else the pairs of the largest lift."""
    with open_read(root) as manifest:
        selection = select(manifest, _filter(values))
    if tag is None:
        rows = queries.pairs(selection, at_least)
    else:
        meant = selection.names.of(tag)
        _unknown(selection, [meant])
        rows = queries.pairs_of(selection, meant)
    _tell(root, rows, values, images=len(selection.images))


@command.command(short_help="List the images with these tags, or without.")
@_with(_ROOT)
@click.argument("tags", metavar="[TAG...]", nargs=-1)
@_with(*_FILTERS, *_OUTPUT)
def find(root: Path, tags: tuple[str, ...], **values: Any) -> None:
    """List the images whose captions have all of these tags, with the tagger's score where there is one."""
    wanted = _filter({**values, "having": (*tags, *values["having"])})
    with open_read(root) as manifest:
        selection = select(manifest, wanted)
        named = [selection.names.of(tag) for tag in (*wanted.having, *wanted.lacking)]
        _unknown(selection, named)
        rows = queries.found_with(manifest, selection.images, named)
        _tell(root, rows, values, _found_line, images=len(selection.images))


def _found_line(row: Mapping[str, Any]) -> dict[str, Any]:
    scores = ", ".join(f"{tag} {score:.2f}" for tag, score in row["scores"].items() if score is not None)
    return {**row, "scores": scores}


@command.command(short_help="Tell why a tag is in a caption, or why it is not.")
@_with(_ROOT)
@click.argument("image")
@click.argument("tag", required=False)
@_with(*_OUTPUT)
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
        rows = ({"tag": name, "action": action, "reason": reason} for name, action, reason in asked.rows)
        _tell(root, rows, values, image=found.path, caption=asked.caption)
        return
    told = answer(asked, names.of(tag), names)
    if values["as_json"]:
        console.print_json({"set": str(root), **told.as_json()})
    else:
        _explain(told)


def _one_image(manifest: Manifest, image: str) -> Image:
    found = [each for each in manifest.images() if fits(each.path, image)]
    exact = [each for each in found if each.path == image]
    if len(found) != 1 and not exact:
        some = "\n".join(each.path for each in found[:LISTED])
        more = f"\nand {len(found) - LISTED} more" if len(found) > LISTED else ""
        raise PrepError(
            f"{len(found)} images fit {image!r}" + (f":\n{some}{more}" if found else ""),
            "give more of its path" if found else f"see which there are: prep tags find {manifest.root}",
        )
    return exact[0] if exact else found[0]


def _explain(told: Answer) -> None:
    """The answer as lines."""
    where = "in the caption" if told.in_caption else "not in the caption"
    click.echo(console.printable(f"{told.tag}: {where} of {told.image}"))
    click.echo(console.printable(f"because     {told.because}"))
    for tag, action, reason in told.rows:
        click.echo(console.printable(f"curation    {tag}: {action}, {reason}"))
    for score in told.scores:
        limit = "" if score.threshold is None else f", its threshold is {score.threshold:.2f}"
        said = "knows no such tag" if not score.known else "below 0.01" if score.score is None else f"{score.score:.2f}"
        click.echo(console.printable(f"score       {said}{limit} ({score.tagger})"))
    for edit in told.edits:
        click.echo(console.printable(f"your edit   {' '.join(edit[:2])}{f' to {edit[2]}' if len(edit) > 2 else ''}"))
    if told.near:
        click.echo(console.printable(f"near it     {', '.join(told.near)}"))
    click.echo(console.printable(f"caption     {told.caption}{' (by a person)' if told.by_person else ''}"))


@command.command(short_help="Show what each rule of curation did.")
@_with(_ROOT, *_FILTERS, *_OUTPUT)
def rules(root: Path, **values: Any) -> None:
    """Show what each rule of curation did: how often, in how many images, to which tags."""
    with open_read(root) as manifest:
        selection = select(manifest, _filter(values))
        rows = queries.rules_of(manifest, selection)
    _tell(root, rows, values, images=len(selection.images))


@command.command(short_help="Show what training can learn of every tag.")
@_with(_ROOT, *_FILTERS, *_OUTPUT)
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
    help="Share of what is shown from which a tag is called always on.",
)
def coverage(root: Path, tags: tuple[str, ...], verdict: str | None, few: int, always: float, **values: Any) -> None:
    """Show of every concept and tag how often training sees it on and off, repeats counted, and what comes of that."""
    with open_read(root) as manifest:
        selection = select(manifest, _filter(values))
        named = {selection.names.of(tag) for tag in _tags(tags)}
        _unknown(selection, sorted(named))
        rows = [
            row
            for row in queries.covered(manifest, selection, few, always)
            if (not named or row["tag"] in named) and verdict in (None, _verdict_key(row["verdict"]))
        ]
    _tell(root, rows, values, images=len(selection.images))
    if not values["as_json"] and rows:
        console.say(ADVICE)


def _verdict_key(text: str) -> str:
    return next((key for key, said in VERDICTS.items() if said == text), "")


@command.command(short_help="List images at odds with the others of their concept.")
@_with(_ROOT, *_FILTERS, *_OUTPUT)
@click.option("--slot", help='Only this slot, such as "hair colour".')
def contradictions(root: Path, slot: str | None, **values: Any) -> None:
    """List the images that curation found at odds with the others of their concept, the likeliest errors first."""
    with open_read(root) as manifest:
        selection = select(manifest, _filter(values))
        rows = queries.contradictions_of(manifest, selection, slot)
    _tell(root, rows, values, images=len(selection.images))
    if not values["as_json"] and any(not row.get("mended") for row in rows):
        console.say(f'mend them with: prep curate {root} --contradictions fix --fix "SLOT or image"')


@command.command(short_help="List tags that look misspelt.")
@_with(_ROOT, *_FILTERS, *_OUTPUT)
def spelling(root: Path, **values: Any) -> None:
    """List tags of captions that look like a misspelt trigger word, or like a known tag written otherwise."""
    with open_read(root) as manifest:
        selection = select(manifest, _filter(values))
        rows = queries.misspelt_in(manifest, selection)
    _tell(root, rows, values, images=len(selection.images))
    if not values["as_json"] and rows:
        console.say(f"mend them with: prep tags replace {root} TAG to MEANT --with TAG")


# --- edits


@command.command(short_help="Add tags to captions.")
@_with(_ROOT, _TAGS, *_FILTERS, *_EDITING, *_OUTPUT)
def add(root: Path, tags: tuple[str, ...], **values: Any) -> None:
    """Add tags to captions; adding what you removed takes that back."""
    _edit(root, "add", tags, None, values)


@command.command(short_help="Take tags out of captions.")
@_with(_ROOT, _TAGS, *_FILTERS, *_EDITING, *_OUTPUT)
def remove(root: Path, tags: tuple[str, ...], **values: Any) -> None:
    """Take tags out of captions, and out of every later one of these images."""
    _edit(root, "remove", tags, None, values)


@command.command(short_help="Put another tag in the place of one or several.")
@_with(_ROOT)
@click.argument("tags", metavar="TAG... to NEW", nargs=-1, required=True)
@_with(*_FILTERS, *_EDITING, *_OUTPUT)
def replace(root: Path, tags: tuple[str, ...], **values: Any) -> None:
    """Put another tag in the place of one or several: `prep tags replace SET boots "red footwear" to "red boots" --all`."""
    if len(tags) < 3 or tags[-2] != "to":
        raise click.UsageError("say what to put instead, as in: prep tags replace SET boots to shoes --all")
    _edit(root, "replace", tags[:-2], tags[-1], values)


def _edit(root: Path, what: str, typed: Sequence[str], new: str | None, values: Mapping[str, Any]) -> None:
    wanted = _filter(values)
    if not (wanted.is_given or values["everything"]):
        raise click.UsageError("say which images: give --concept, --image, --with or --without, or --all for every one")
    dry_run = values["dry_run"]
    with open_write(root, f"tags {what}") as manifest:
        take_in(manifest)
        selection = select(manifest, wanted)
        edits = _edits_meant(selection, what, typed, new)
        if not selection.images:
            raise PrepError("no kept image fits", f"see which there are: prep tags find {root}")
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
    tags = list(dict.fromkeys(selection.names.of(tag) for tag in _tags(typed)))
    targets = [selection.names.of(tag) for tag in _tags([new])] if new is not None else []
    if not tags or (new is not None and len(targets) != 1):
        raise PrepError("no tag is given" if not tags else f"{new!r} is not one tag", "give tags apart, without commas")
    if what == ADD:
        _unknown(selection, tags)
        return [(ADD, tag) for tag in tags]
    lost = [tag for tag in tags if not selection.names.is_known(tag)]
    if lost:
        near = selection.names.near(lost[0])
        raise PrepError(
            f"no tag of this set is called {lost[0]}",
            f"near it are: {', '.join(near)}" if near else "see what there is: prep tags list SET",
        )
    if what == REMOVE:
        return [(REMOVE, tag) for tag in tags]
    _unknown(selection, targets)
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
            click.echo(f"{console.printable(each.path)}{' (by a person)' if each.by_person else ''}\n    {words}")
        if left:
            console.say(f"… and {left} more; --limit 0 shows all")
        console.say("nothing was written")
    elif run is None:
        console.say("nothing to do: all of it is so already")
    else:
        console.say(f"run {run}: look at it with prep diff {root} {run}; take it back with prep undo {root} {run}")
