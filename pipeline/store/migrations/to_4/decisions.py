"""Decisions of version 3 as version 4 writes them: the same for those that hold and for both sides of every change."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

from pipeline.store.migrations.to_4.names import FIELDS, renamed
from pipeline.store.migrations.to_4.sentences import check, others, sources, tags
from pipeline.store.migrations.to_4.sentences.parse import Coded, as_recorded

BATCH = 10_000
CAPTION_FILE = "caption file"
"""The field of `history` that holds texts of caption files, as they were; only what happened is told otherwise."""


class Told(NamedTuple):
    """What a decision of version 3 says: its value, the phrase that was counted, and the figures for people."""

    value: Any
    reason: str
    evidence: str


class Now(NamedTuple):
    """What it says in version 4: its value, and a reason with its data."""

    value: Any
    reason: Coded


def _of_value(read: Callable[[str, str], Coded]) -> Callable[[Told], Now]:
    """A field whose values stay as they are."""
    return lambda old: Now(old.value, read(old.reason, old.evidence))


def _bucket(old: Told) -> Now:
    return Now(_with_anchor(old.value), others.bucket(old.value, old.reason, old.evidence))


def _with_anchor(bucket: dict[str, Any]) -> dict[str, Any]:
    names = ("size", "scaled", "crop", "loss", "anchor", "background")
    return {name: held for name in names if (held := {"anchor": "centre", **bucket}.get(name)) is not None}


def _repeats(old: Told) -> Now:
    return Now(renamed(old.value, {"repeat": "exported"}), sources.repeats(old.reason, old.evidence))


def _tagger(old: Told) -> Now:
    ids = old.value if isinstance(old.value, list) else [old.value]
    return Now(ids, others.tagger(old.reason, old.evidence))


def _regularization(old: Told) -> Now:
    first, more = _reg_image(old.value), [_reg_image(each) for each in old.value.get("more", ())]
    return Now(first | ({"more": more} if more else {}), others.regularization(old.reason, old.evidence))


def _reg_image(value: dict[str, Any]) -> dict[str, Any]:
    """One of an image's regularization images, its keys in the order of version 4."""
    found = {name: value[name] for name in ("path", "caption", "size", "seed", "matched") if name in value}
    return found | ({"bucket": _with_anchor(value["bucket"])} if "bucket" in value else {})


def _tags(old: Told) -> Now:
    rows = [[name, action, *tags.tag(action, why)] for name, action, why in old.value]
    return Now(rows, others.image_tags(old.reason, old.evidence))


def _flags(old: Told) -> Now:
    return Now(old.value, others.flags(old.value, old.reason, old.evidence))


def _contradictions(old: Told) -> Now:
    found = tags.contradictions(old.value, old.evidence)
    code = "fixed_conflicts" if all(each["fixed"] for each in found) else "conflicting"
    return Now(found, Coded(code, {"found": found}))


def _overlay(old: Told) -> Now:
    return Now(old.value, Coded("edited", {"edits": old.value}))


OF_FIELD: dict[str, Callable[[Told], Now]] = {
    "placed": _of_value(sources.placed),
    "given": _of_value(sources.user_repeats),
    "human": _of_value(others.caption),
    "keep": _of_value(check.keep),
    "bucket": _bucket,
    "tagger": _tagger,
    "tags": _tags,
    "overlay": _overlay,
    "caption": _of_value(others.caption),
    "flags": _flags,
    "contradictions": _contradictions,
    "cut": _of_value(others.truncated),
    "multiplier": _repeats,
    "twin": _regularization,
}
"""Field, as version 3 calls it → what a decision of it says in version 4."""


def told_now(field: str, old: Told) -> Now:
    """What a decision of a field of version 3 says in version 4."""
    change = OF_FIELD.get(field)
    return change(old) if change is not None else Now(old.value, as_recorded(old.reason, old.evidence))


class Columns(NamedTuple):
    """What a decision says, as a row holds it: the value as JSON."""

    value: str | None
    reason: str | None
    evidence: str | None


def columns_now(field: str, old: Columns) -> Columns:
    """The same of a row's columns; JSON that says what it said stays as it is written. None is no decision."""
    if field == CAPTION_FILE:
        return old._replace(reason=others.EVENTS.get(old.reason or "", old.reason))
    if old.value is None:
        return old
    before = Told(json.loads(old.value), old.reason or "", old.evidence or "")
    value, (code, data) = told_now(field, before)
    same = _dump(value) == _dump(before.value)
    return Columns(
        old.value if same else _dump(value), code, json.dumps(data, ensure_ascii=False, sort_keys=True) if data else ""
    )


def _dump(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False)


def bring_forward(connection: sqlite3.Connection) -> None:
    """Change the tables of decisions and of their history."""
    for rows in _batches(connection, "decisions", "field, value, reason, evidence"):
        connection.executemany(
            "UPDATE decisions SET field=?, value=?, reason=?, evidence=? WHERE rowid=?",
            [
                (FIELDS.get(field, field), *columns_now(field, Columns(*columns)), number)
                for number, field, *columns in rows
            ],
        )
    halves = "before, before_reason, before_evidence, after, after_reason, after_evidence"
    for rows in _batches(connection, "history", f"field, {halves}"):
        connection.executemany(
            "UPDATE history SET field=?, before=?, before_reason=?, before_evidence=?, after=?, after_reason=?, "
            "after_evidence=? WHERE rowid=?",
            [
                (
                    FIELDS.get(field, field),
                    *columns_now(field, Columns(*columns[:3])),
                    *columns_now(field, Columns(*columns[3:])),
                    number,
                )
                for number, field, *columns in rows
            ],
        )


def _batches(connection: sqlite3.Connection, table: str, columns: str) -> Iterator[list[tuple[Any, ...]]]:
    """(rowid, columns) of every row, so many at a time as memory holds."""
    last = 0
    query = f"SELECT rowid, {columns} FROM {table} WHERE rowid>? ORDER BY rowid LIMIT {BATCH}"
    while rows := connection.execute(query, (last,)).fetchall():
        yield rows
        last = rows[-1][0]
