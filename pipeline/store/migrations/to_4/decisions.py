"""Decisions of version 3 as version 4 writes them: the same for those that hold and for both sides of every change."""

from __future__ import annotations

import json
import re
import sqlite3
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

from pipeline.store.migrations.to_4.names import FIELDS, REASONS, renamed

BATCH = 10_000
CAPTION_FILE = "caption file"
"""The field of `history` that holds texts of caption files, as they were; only what happened is put into words."""


class Told(NamedTuple):
    """What a decision says: its value, the phrase that is counted, and the figures for people."""

    value: Any
    reason: str
    evidence: str


def _came(old: Told) -> Told:
    evidence = "came with the image" if old.evidence == "came with the picture" else old.evidence
    return old._replace(evidence=evidence)


def _placed(old: Told) -> Told:
    evidence = old.evidence
    if evidence == "and the picture in the set too":
        evidence = "and the image in the set too"
    return old._replace(evidence=re.sub(r"^(\d+ of \d+ entries name )a picture", r"\1an image", evidence))


def _repeats(old: Told) -> Told:
    value = renamed(old.value, {"repeat": "exported"})
    evidence = re.sub(r"^([\d.]+% promised, [\d,]+) picture(s?) of ", r"\1 image\2 of ", old.evidence)
    return old._replace(value=value, evidence=evidence)


def _regularization(old: Told) -> Told:
    """Its keys in another order, in which user-supplied images did not have them."""
    value = _in_order(old.value)
    if "more" in value:
        value["more"] = [_in_order(other) for other in value["more"]]
    return old._replace(value=value)


def _in_order(value: dict[str, Any]) -> dict[str, Any]:
    return {key: value[key] for key in ("path", "caption", "size", "seed", "matched", "bucket", "more") if key in value}


def _contradictions(old: Told) -> Told:
    return old._replace(evidence=_figures(old.evidence))


def _tags(old: Told) -> Told:
    return old._replace(value=[[tag, action, _figures(reason)] for tag, action, reason in old.value])


def _figures(text: str) -> str:
    """How many images showed a tag, in a sentence that names tags and concepts, which may hold any word."""
    text = re.sub(r"\b(in \d+ of \d+) pictures(?=[, ])", r"\1 images", text)
    return re.sub(r"(?<=, )no other pictures to compare$", "no other images to compare", text)


def _caption_file(old: Told) -> Told:
    return old._replace(reason="came with the image" if old.reason == "came with the picture" else old.reason)


OF_FIELD: dict[str, Callable[[Told], Told]] = {
    "human": _came,
    "caption": _came,
    "placed": _placed,
    "multiplier": _repeats,
    "twin": _regularization,
    "tags": _tags,
    "contradictions": _contradictions,
    CAPTION_FILE: _caption_file,
}
"""Field, as version 3 calls it → what a decision of it says in version 4, where that is more than another reason."""


def told_now(field: str, old: Told) -> Told:
    """What a decision of a field of version 3 says in version 4."""
    change = OF_FIELD.get(field)
    new = change(old) if change is not None else old
    return new._replace(reason=REASONS.get(new.reason, new.reason))


class Columns(NamedTuple):
    """What a decision says, as a row holds it: the value as JSON."""

    value: str | None
    reason: str | None
    evidence: str | None


def columns_now(field: str, old: Columns) -> Columns:
    """The same of a row's columns; JSON that says what it said stays as it is written. None is no decision."""
    if old.value is None:
        return old
    before = Told(json.loads(old.value), old.reason or "", old.evidence or "")
    after = told_now(field, before)
    same = _dump(after.value) == _dump(before.value)
    return Columns(old.value if same else _dump(after.value), after.reason, after.evidence)


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
