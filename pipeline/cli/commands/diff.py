"""Show what a run changed, captions word by word."""

from __future__ import annotations

import itertools
from collections import Counter
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import click

from pipeline.cli import console
from pipeline.cli.set_folder import SET
from pipeline.core.errors import PrepError
from pipeline.core.text_diff import pieces
from pipeline.store.history.changes import Change, changes, file_changes
from pipeline.store.history.undo import newest
from pipeline.store.manifest import Manifest
from pipeline.store.opening import open_read
from pipeline.store.records import Decision
from pipeline.store.wording import phrase

TEXTS = ("caption", "manual_caption")


@click.command(short_help="Show what a run changed, captions word by word.")
@click.argument("root", metavar="SET", type=SET)
@click.argument("runs", metavar="[RUN] [RUN]", type=int, nargs=-1)
@click.option("--field", help="Only rows of this field, such as caption, keep or repeats.")
@click.option("--image", help="Only images whose path contains this.")
@click.option(
    "--limit", type=click.IntRange(min=0), default=50, show_default=True, help="Most rows shown; 0 shows all."
)
@click.option("as_json", "--json", is_flag=True, help="Print one JSON document to stdout.")
def command(root: Path, runs: tuple[int, ...], field: str | None, image: str | None, limit: int, as_json: bool) -> None:
    """Show what a run changed, captions word by word.

    With one RUN, what that run changed (without one, the newest run that changed something); with two, what differs
    between the set after the first and after the second. Removed words are shown as [-...-], added ones as {+...+}.
    `prep log SET` lists the runs with their numbers.
    """
    with open_read(root) as manifest:
        after, until, title = _span(manifest, runs)
        found = _once(
            change
            for change in changes(manifest, after, until)
            if field in (None, change.field) and (image or "") in change.path
        )
        files = [] if field or image else file_changes(manifest, after, until)
    shown = found if limit == 0 else found[:limit]
    if as_json:
        rows = [_json(change) for change in shown]
        document = {"set": str(root), "after": after, "until": until, "left_off": len(found) - len(shown), "rows": rows}
        console.print_json({**document, "files": [{"path": path, "what": what} for path, what in files]})
        return
    console.say(title)
    console.print_table(
        [{"field": name, "rows": number} for name, number in sorted(Counter(change.field for change in found).items())]
        + [{"field": f"files {what}", "rows": number} for what, number in Counter(what for _, what in files).items()]
    )
    for line in itertools.chain.from_iterable(_lines(change) for change in shown):
        click.echo(line)
    if len(found) > len(shown):
        console.say(f"… and {len(found) - len(shown)} more; --limit 0 shows all")
    if not found and not files:
        console.say("no difference")


def _once(found: Iterable[Change]) -> list[Change]:
    """Without the caption rows of images whose caption a person wrote: that row says the same."""
    rows = list(found)
    manual = {change.path for change in rows if change.field == "manual_caption" and change.after is not None}
    return [change for change in rows if not (change.field == "caption" and change.path in manual)]


def _span(manifest: Manifest, runs: tuple[int, ...]) -> tuple[int, int, str]:
    """The states to compare: after which run, and after which."""
    known = {run.id: run for run in manifest.runs()}
    if len(runs) > 2:
        raise PrepError(f"{len(runs)} runs were given", "give one run, or two to compare")
    unknown = [number for number in runs if number not in known]
    if unknown:
        raise PrepError(f"there is no run {unknown[0]}", f"list them with: prep log {manifest.root}")
    if len(runs) == 2:
        after, until = sorted(runs)
        return after, until, f"from run {after} ({known[after].stage}) to run {until} ({known[until].stage})"
    run = known[runs[0]] if runs else newest(manifest)
    return run.id - 1, run.id, f"run {run.id} ({run.stage}), {run.started[:19].replace('T', ' ')}"


def _lines(change: Change) -> Iterator[str]:
    if change.field in TEXTS and isinstance(_value(change.before), str) and isinstance(_value(change.after), str):
        words = console.word_diff(_value(change.before), _value(change.after))
        yield f"{console.printable(change.path)}: {change.field} ({_why(change.after)})"
        yield f"    {words}"
        return
    yield console.printable(
        f"{change.path}: {change.field} {console.brief(change.before)} → {console.brief(change.after)}"
    )


def _value(decision: Decision | None) -> Any:
    return decision.value if decision else None


def _why(decision: Decision | None) -> str:
    return console.printable(phrase(decision)) if decision else ""


def _json(change: Change) -> dict[str, Any]:
    row: dict[str, Any] = {"path": change.path, "field": change.field, "run": change.run}
    row["before"] = console.decision_json(change.before) if change.before else None
    row["after"] = console.decision_json(change.after) if change.after else None
    if change.field in TEXTS and isinstance(_value(change.before), str) and isinstance(_value(change.after), str):
        row["words"] = [
            {"kind": kind, "text": text} for kind, text in pieces(_value(change.before), _value(change.after))
        ]
    return row
