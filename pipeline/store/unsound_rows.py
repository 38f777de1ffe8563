"""Rows of manifest.db that hold what prep never writes, as after an edit by hand: looked for when reading them failed.

Nothing is checked while all is well, as a record has millions of rows; once a command fails, every row is read again one by
one, and the first that cannot be is named, with what it holds and how to be rid of it.
"""

from __future__ import annotations

import json
import math
import sqlite3
from collections.abc import Callable, Iterator, Mapping
from dataclasses import fields
from datetime import datetime
from typing import Any

from pipeline.core.errors import PrepError
from pipeline.store.reasons.by_field import reason_of
from pipeline.store.records import Image, Measurement
from pipeline.store.tables.images import ELSEWHERE
from pipeline.store.tables.rows import columns
from pipeline.store.tables.schema import FILE
from pipeline.store.values import codec

FAILURES = (
    ValueError,
    TypeError,
    LookupError,
    AttributeError,
    ArithmeticError,
    AssertionError,
    RecursionError,
    sqlite3.Error,
)
"""What reading a row, or working with what it holds, may fail with."""
SHOWN = 60
STAGES = {
    "keep": "check",
    "bucket": "bucket",
    "tagger": "tag",
    "tags": "curate",
    "caption": "curate",
    "flags": "curate",
    "contradictions": "curate",
    "repeats": "balance",
    "regularization": "regularize",
    "truncated_tags": "train",
    "imported": "flatten",
    "user_repeats": "flatten",
}
"""Field of decisions → the stage that decides it; the others are a person's."""


def _is_texts(value: Any) -> bool:
    return isinstance(value, list) and all(isinstance(each, str) for each in value)


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value) and value >= 0


def _is_edits(value: Any) -> bool:
    return isinstance(value, list) and all(_is_texts(each) and len(each) in (2, 3) for each in value)


_SOUND: Mapping[str, tuple[Callable[[Any], bool], str]] = {
    "keep": (lambda value: isinstance(value, bool), "true or false"),
    "imported": (lambda value: value is None or isinstance(value, str), "a path or null"),
    "manual_caption": (lambda value: value is None or isinstance(value, str), "a text or null"),
    "caption": (lambda value: isinstance(value, str), "a text"),
    "tagger": (_is_texts, "a list of texts"),
    "flags": (_is_texts, "a list of texts"),
    "truncated_tags": (_is_texts, "a list of texts"),
    "user_repeats": (_is_number, "a number of 0 or more"),
    "manual_edits": (_is_edits, 'a list of edits such as ["add", tag]'),
}
"""Fields with plain values, what they hold, and how that is said; the others check themselves when they are read."""


def unsound(db: sqlite3.Connection, root: object) -> PrepError | None:
    """The first row that cannot be what it says, as a failure with the way out; None where all rows are sound.

    Args:
        root: the set, for the message.
    """
    try:
        return next(_found(db, root), None)
    except sqlite3.DatabaseError as error:
        return PrepError(
            f"{root}/{FILE} is damaged: {error}",
            f"put back a copy of it, or move it away and flatten the same folders again: prep flatten FOLDER {root}",
        )


def _found(db: sqlite3.Connection, root: object) -> Iterator[PrepError]:
    yield from _records(db, root, "images", Image, f"prep flatten {root} --force")
    for content, phash in db.execute("SELECT content, phash FROM measurements WHERE phash GLOB '*[^0-9a-f]*'"):
        wrong = f"phash is {_shown(phash)}, it must be hexadecimal"
        yield _told(root, "measurements", {"content": content}, wrong, f"prep check {root} --force")
    for (path,) in db.execute(f"SELECT path FROM images WHERE {ELSEWHERE}"):
        wrong = "path must lie in the set's folder images/"
        yield _told(root, "images", {"path": path}, wrong, f"prep flatten {root} --force")
    yield from _records(db, root, "measurements", Measurement, f"prep check {root} --force")
    yield from _decisions(db, root)
    yield from _tables_of_json(db, root)
    yield from _texts(db, root)


def _records(db: sqlite3.Connection, root: object, table: str, record: type, again: str) -> Iterator[PrepError]:
    """Rows whose columns are not of a record's types, or have sizes below 0."""
    kinds = {"str": str, "int": int, "float": (int, float), "bool": int}
    kinds_of = {item.name: str(item.type) for item in fields(record)}
    key = next(iter(kinds_of))
    for row in db.execute(f"SELECT {columns(record)} FROM {table}"):
        for (name, kind), value in zip(kinds_of.items(), row, strict=True):
            wrong = not isinstance(value, kinds[kind]) or (kind != "str" and not (math.isfinite(value) and value >= 0))  # type: ignore[arg-type]
            if wrong:
                what = "a text" if kind == "str" else "a number of 0 or more"
                yield _told(root, table, {key: row[0]}, f"{name} is {_shown(value)}, it must be {what}", again)


def _decisions(db: sqlite3.Connection, root: object) -> Iterator[PrepError]:
    for path, field, value, reason, evidence in db.execute(
        "SELECT path, field, value, reason, evidence FROM decisions"
    ):
        key = {"path": path, "field": field}
        stage = STAGES.get(str(field))
        again = f"prep {stage} {root} --force" if stage else "prep tags --help"
        wrong = _odd_value(field, value) or _odd_json("evidence", evidence or "{}", dict)
        if not all(isinstance(each, str) for each in (path, field, reason)):
            wrong = "path, field and reason must be texts"
        wrong = wrong or _odd_reason(field, reason)
        if wrong:
            yield _told(root, "decisions", key, wrong, again)


def _odd_value(field: str, text: Any) -> str:
    """What is wrong with a decision's value, "" where nothing is."""
    try:
        held = codec.load(field, text)
    except FAILURES as error:
        return f"value is {_shown(text)}, which cannot be read: {type(error).__name__}: {error}"
    holds, what = _SOUND.get(field, (lambda _: True, ""))
    return "" if holds(held) else f"value is {_shown(text)}, it must be {what}"


def _odd_reason(field: str, code: str) -> str:
    try:
        reason_of(field, code)
    except ValueError:
        return f"reason is {_shown(code)}, which is none"
    return ""


def _odd_json(name: str, text: Any, kind: type) -> str:
    try:
        right = isinstance(json.loads(text), kind)
    except FAILURES:
        right = False
    return "" if right else f"{name} is {_shown(text)}, it must be JSON of a {kind.__name__}"


def _texts(db: sqlite3.Connection, root: object) -> Iterator[PrepError]:
    """Captions, times of runs, and what held before."""
    for path, text in db.execute("SELECT path, text FROM captions"):
        if not (isinstance(path, str) and isinstance(text, str)):
            yield _told(root, "captions", {"path": path}, f"text is {_shown(text)}", f"prep curate {root} --force")
    for key, started, finished in db.execute("SELECT id, started, finished FROM runs"):
        for name, text in (("started", started), ("finished", finished)):
            if not _is_time(text) and not (name == "finished" and text in ("", None)):
                yield _told(
                    root, "runs", {"id": key}, f"{name} is {_shown(text)}, it must be a time", f"prep log {root}"
                )
    for run, path, field, before, after in db.execute("SELECT run, path, field, before, after FROM history"):
        for name, text in (("before", before), ("after", after)):
            if text is not None and (wrong := _odd_value(field, text).removeprefix("value")):
                key = {"run": run, "path": path, "field": field}
                yield _told(root, "history", key, name + wrong, f"prep log {root}")


def _is_time(text: object) -> bool:
    try:
        return bool(datetime.fromisoformat(text))  # type: ignore[arg-type]
    except (TypeError, ValueError):
        return False


def _tables_of_json(db: sqlite3.Connection, root: object) -> Iterator[PrepError]:
    """Scores, taggers and runs."""
    for content, tagger, scores in db.execute("SELECT content, tagger, scores FROM scores"):
        wrong = _odd_json("scores", scores, dict)
        if not wrong and not all(_is_number(score) and score <= 1 for score in json.loads(scores).values()):
            wrong = f"scores is {_shown(scores)}, it must hold numbers from 0 to 1"
        if wrong:
            yield _told(root, "scores", {"content": content, "tagger": tagger}, wrong, f"prep tag {root} --force")
    for name, names, again in (
        ("taggers", ("categories", "thresholds", "tag_thresholds"), f"prep tag {root} --force"),
        ("runs", ("options", "inputs", "versions", "counts", "origins"), f"prep log {root}"),
    ):
        for key, *texts in db.execute(f"SELECT id, {', '.join(names)} FROM {name}"):
            for column, text in zip(names, texts, strict=True):
                if wrong := _odd_json(column, text if text is not None else "{}", dict):
                    yield _told(root, name, {"id": key}, wrong, again)


def _shown(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= SHOWN else f"{text[:SHOWN]}…"


def _told(root: object, table: str, key: Mapping[str, Any], wrong: str, again: str) -> PrepError:
    where = " AND ".join(f"{name}={_sql(value)}" for name, value in key.items())
    return PrepError(
        f"{root}/{FILE} was changed by hand: in the row of {table} where {where}, {wrong}",
        f"remove the row with SQLite: DELETE FROM {table} WHERE {where}; then run: {again}",
    )


def _sql(value: Any) -> str:
    """A value as SQL spells it."""
    if isinstance(value, bytes):
        return f"x'{value.hex()}'"
    return str(value) if isinstance(value, int | float) else "'" + str(value).replace("'", "''") + "'"
