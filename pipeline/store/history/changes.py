"""What changed between two states of the record, each state being the one after a run."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

from pipeline.store.manifest import Manifest
from pipeline.store.records import Decision


@dataclass(frozen=True, slots=True)
class Change:
    """One row before and after; None where there was none. `run` changed it last."""

    path: str
    field: str
    before: Decision | None
    after: Decision | None
    run: int


def changes(manifest: Manifest, after: int, until: int) -> Iterator[Change]:
    """Every row that differs between the state after run `after` and that after run `until`, in order of path and field.

    Several changes of one row in between are one change; a row that is again as it was is none.
    """
    held: Change | None = None
    for step in manifest.history.steps(after, until):
        if held is not None and (held.path, held.field) == (step.path, step.field):
            held = replace(held, after=step.after, run=step.run)
            continue
        yield from _told(held)
        held = Change(*step)
    yield from _told(held)


def _told(change: Change | None) -> Iterator[Change]:
    if change is not None and change.before != change.after:
        yield change


def file_changes(manifest: Manifest, after: int, until: int) -> list[tuple[str, str]]:
    """(path, made, replaced or removed) for files of the set other than captions."""
    first: dict[str, str] = {}
    last: dict[str, str] = {}
    for path, before, now in manifest.history.file_steps(after, until):
        first.setdefault(path, before)
        last[path] = now or ""
    words = {(False, True): "made", (True, True): "replaced", (True, False): "removed"}
    return [(path, words[bool(first[path]), bool(last[path])]) for path in first if first[path] != last[path]]
