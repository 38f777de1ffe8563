"""Ask for images of a set, and decide about them."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import click

from pipeline.cli import console
from pipeline.cli.commands.tags.asking import OUTPUT, ROOT, print_rows, with_options
from pipeline.core.errors import PrepError
from pipeline.core.humanize import counted
from pipeline.store.edits import take_in
from pipeline.store.manifest import Manifest
from pipeline.store.opening import open_read, open_write

QUERY = click.argument("query", nargs=-1, required=True)
DECIDING = (
    click.option("--dry-run", is_flag=True, help="Show which images are meant; write nothing."),
    *OUTPUT,
)
ALL = "all"


@click.group("images", short_help="Ask for images of a set, and decide about them.")
def command() -> None:
    """Ask for images of a set, and decide about them.

    QUERY is the language of the desk (prep review): `concept:characters/Lumi`, `tag:"red hat"`, a bare word for a tag or for a
    part of path or caption, `-x` for not, OR, brackets, `flag:any`, `verdict:dropped`, `reason:blurry`, `score:smile<0.5`,
    `width<600`, `group:any` (copies), `path:*/7.png`; `all` is every image. What you decide here is kept by every later run of
    a stage, and is undone with prep undo.
    """


@command.command("list", short_help="List the images that a query means.")
@with_options(ROOT)
@click.argument("query", nargs=-1)
@click.option("--sort", "order", default="path", show_default=True, help="path, -repeats, side, sharpness, doubt:TAG …")
@with_options(*OUTPUT)
def list_(root: Path, query: tuple[str, ...], order: str, **values: Any) -> None:
    """List the images that a query means, with the verdict on each and what you decided about it."""
    from pipeline.store.wording import phrase

    with open_read(root) as manifest:
        paths, words = _found(manifest, query or (ALL,), order)
        verdicts = manifest.decisions("keep")
        chosen = {name: dict(manifest.values(f"manual_{name}")) for name in ("keep", "anchor", "repeats")}
        rows = [
            {
                "image": path,
                "verdict": phrase(verdicts[path]) if path in verdicts else "not judged",
                "you": ", ".join(f"{name} {held[path]}" for name, held in chosen.items() if path in held),
            }
            for path in paths
        ]
    print_rows(root, rows, values, query=words, images=len(rows))


@command.command(short_help="Keep images, whatever is measured.")
@with_options(ROOT, QUERY, *DECIDING)
def keep(root: Path, query: tuple[str, ...], **values: Any) -> None:
    """Keep images, whatever check measures, if they can be read."""
    _decide(root, query, [{"keep": True}], values)


@command.command(short_help="Leave images out.")
@with_options(ROOT, QUERY, *DECIDING)
def drop(root: Path, query: tuple[str, ...], **values: Any) -> None:
    """Leave images out: they stay in the set and are not trained on."""
    _decide(root, query, [{"keep": False}], values)


@command.command(short_help="Say what the crops of images hold on to.")
@with_options(ROOT)
@click.argument("place")
@with_options(QUERY, *DECIDING)
def anchor(root: Path, place: str, query: tuple[str, ...], **values: Any) -> None:
    """Say what the crops of images hold on to: centre, top, bottom, left, right, subject, or x,y in parts of the image."""
    _decide(root, query, [{"anchor": place}], values)


@command.command(short_help="Say how often images are shown an epoch.")
@with_options(ROOT)
@click.argument("number", type=float)
@with_options(QUERY, *DECIDING)
def repeats(root: Path, number: float, query: tuple[str, ...], **values: Any) -> None:
    """Say how often images are shown an epoch; the others are balanced among themselves."""
    _decide(root, query, [{"repeats": number}], values)


@command.command(short_help="Take your decisions about images back.")
@with_options(ROOT, QUERY, *DECIDING)
def reset(root: Path, query: tuple[str, ...], **values: Any) -> None:
    """Take your decisions about images back: the stages decide again."""
    _decide(root, query, [{name: None} for name in ("keep", "anchor", "repeats")], values)


def _found(manifest: Manifest, query: Sequence[str], order: str = "path") -> tuple[list[str], str]:
    """The paths that a query means, in order, and the query in words."""
    from pipeline.review.query.searching import search
    from pipeline.review.snapshot.building import build
    from pipeline.review.snapshot.scores import read_scores

    numbers: dict[str, int] = {}
    snapshot = build(manifest, 1, lambda path: numbers.setdefault(path, len(numbers)))
    text = " ".join(query)
    found = search(snapshot, lambda: read_scores(manifest), "" if text == ALL else text, order)
    return [snapshot.images[row].path for row in found.rows.tolist()], found.words


def _decide(root: Path, query: Sequence[str], choices: Sequence[dict[str, Any]], values: Any) -> None:
    from pipeline.review.deciding.choices import checked
    from pipeline.review.deciding.recording import record
    from pipeline.review.proposals.proposal import Deed

    wanted = [dict([checked(choice)]) for choice in choices]
    with Manifest.open(root) if values["dry_run"] else open_write(root, "images") as manifest:
        if not values["dry_run"]:
            take_in(manifest)
        paths, words = _found(manifest, query)
        if not paths:
            raise PrepError(f"no image is {words}", f"list them with: prep images list {root}")
        run, told = (
            (0, "nothing was written")
            if values["dry_run"]
            else record(manifest, [Deed(tuple(paths), choice) for choice in wanted])
        )
    if values["as_json"]:
        shown, left = console.selected(paths, values["limit"])
        console.print_json(
            {"set": str(root), "run": run or None, "images": len(paths), "rows": shown, "left_off": left}
        )
        return
    if values["dry_run"]:
        shown, left = console.selected(paths, values["limit"])
        for path in shown:
            click.echo(console.printable(path))
        console.say(
            f"{counted(len(paths), 'image')} {words}" + (f", {left} of them not shown" if left else "") + f"; {told}"
        )
        return
    console.say(told)
    if run:
        console.say(
            f"see it with: prep diff {root} {run}; take it back with: prep undo {root} {run}; next: prep run {root}"
        )
