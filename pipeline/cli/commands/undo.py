"""Undo a run, files included."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from pipeline.cli import console
from pipeline.cli.set_folder import SET
from pipeline.store.edits import take_in
from pipeline.store.history.undo import Undone, find, newest, since, undo
from pipeline.store.opening import open_write


@click.command(short_help="Undo a run, files included.")
@click.argument("root", metavar="SET", type=SET)
@click.argument("run", metavar="[RUN]", type=int, required=False)
@click.option("--since", "all_since", is_flag=True, help="Undo every later run too, the newest first.")
@click.option("as_json", "--json", is_flag=True, help="Print one JSON document to stdout.")
def command(root: Path, run: int | None, all_since: bool, as_json: bool) -> None:
    """Undo a run, files included.

    RUN is a number from `prep log SET`; without it the newest run is undone. Decisions, images, captions and other files
    of the set become what they were before the run; captions edited by hand since are kept. An undo is a run too: undo it
    to redo. Scores and measurements are kept, as they depend on the pixels only.
    """
    with open_write(root, "undo") as manifest:
        take_in(manifest)
        chosen = newest(manifest) if run is None else find(manifest, run)
        runs = since(manifest, chosen) if all_since else [chosen]
        done = []
        for each in runs:
            if not as_json:  # said before it is done: killed on the way, a person still knows which run it was
                console.say(f"undoing run {each.id} ({each.stage}) …")
            done.append(undo(manifest, each))
            if not as_json:
                _show(root, done[-1])
    if as_json:
        console.print_json({"set": str(root), "undone": [_json(each) for each in done]})


def _show(root: Path, undone: Undone) -> None:
    parts = {
        "row": undone.rows,
        "image": undone.images,
        "caption file": undone.captions,
        "other file": undone.files,
    }
    words = ", ".join(f"{number} {name}{'s' * (number != 1)}" for name, number in parts.items() if number)
    console.say(f"run {undone.run.id} ({undone.run.stage}) is undone: {words or 'it had changed nothing'}")
    if undone.left:
        console.warn(f"{len(undone.left)} captions edited by hand since are kept, such as that of {undone.left[0]}")
    console.say(f"to redo it: prep undo {root} {undone.by}")


def _json(undone: Undone) -> dict[str, Any]:
    return {
        "run": undone.run.id,
        "stage": undone.run.stage,
        "by": undone.by,
        "rows": undone.rows,
        "images": undone.images,
        "captions": undone.captions,
        "files": undone.files,
        "left": list(undone.left),
    }
