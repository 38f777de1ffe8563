"""What changed between two states of the record, each state being the one after a run."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from pipeline.store.caption_files import FILE
from pipeline.store.decisions import codec
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

    Several changes of one row in between are told as one; a row that is again as it was is not told.
    """
    query = """SELECT path, field, before, before_reason, before_evidence, after, after_reason, after_evidence, run
        FROM history WHERE run>? AND run<=? AND field<>? ORDER BY path, field, run, rowid"""
    held: tuple[Any, ...] | None = None
    for row in manifest.db.execute(query, (after, until, FILE)):
        if held is not None and held[:2] == row[:2]:
            held = (*held[:5], *row[5:])
            continue
        yield from _told(held)
        held = row
    yield from _told(held)


def _told(row: tuple[Any, ...] | None) -> Iterator[Change]:
    if row is None or row[2:5] == row[5:8]:
        return
    path, field = row[:2]
    yield Change(path, field, _decision(path, field, *row[2:5]), _decision(path, field, *row[5:8]), row[8])


def _decision(path: str, field: str, value: str | None, reason: str, evidence: str) -> Decision | None:
    return None if value is None else Decision(path, field, codec.load(field, value), reason or "", evidence or "")


def file_changes(manifest: Manifest, after: int, until: int) -> list[tuple[str, str]]:
    """(path, made, replaced or removed) for files of the set other than captions."""
    query = """SELECT path, before, after FROM file_history WHERE run>? AND run<=? ORDER BY path, run"""
    first: dict[str, str] = {}
    last: dict[str, str] = {}
    for path, before, now in manifest.db.execute(query, (after, until)):
        first.setdefault(path, before)
        last[path] = now or ""
    words = {(False, True): "made", (True, True): "replaced", (True, False): "removed"}
    return [(path, words[bool(first[path]), bool(last[path])]) for path in first if first[path] != last[path]]
