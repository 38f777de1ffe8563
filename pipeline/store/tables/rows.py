"""Records as rows of a table, and values as the JSON that is stored."""

from __future__ import annotations

import operator
from collections.abc import Callable
from dataclasses import fields
from typing import Any

from pipeline.store.reasons.by_field import reason_of
from pipeline.store.records import Decision
from pipeline.store.values import codec


def columns(record: type, table: str = "") -> str:
    """The names of a record's fields, as SQL lists them; with a table, each as one of its columns."""
    return ", ".join(f"{table}.{item.name}" if table else item.name for item in fields(record))


def declared(record: type) -> str:
    """The columns of a table for a record, without its key, which comes first."""
    kinds = {"str": "TEXT", "float": "REAL", "int": "INTEGER", "bool": "INTEGER"}
    return ", ".join(f"{item.name} {kinds[str(item.type)]}" for item in fields(record)[1:])


def values(record: type) -> Callable[[Any], tuple[Any, ...]]:
    """A record as a row; attrgetter, as dataclasses.astuple copies what it holds."""
    return operator.attrgetter(*(item.name for item in fields(record)))


def dump(value: Any) -> str:
    """A value as it is stored; undo and freshness compare this text."""
    return codec.dump(value)


def decision(path: str, field: str, value: str, reason: str, evidence: str) -> Decision:
    return Decision(path, field, codec.load(field, value), reason_of(field, reason), codec.load_data(evidence))


def columns_of(row: Decision) -> tuple[str, str, str, str, str]:
    """A decision as its columns: path, field, value, reason and evidence, which holds the data."""
    return row.path, row.field, dump(row.value), row.reason.value, codec.dump_data(row.data)


def decision_if_any(
    path: str, field: str, value: str | None, reason: str | None, evidence: str | None
) -> Decision | None:
    """The decision of such columns, None where they say that there was none."""
    return None if value is None else decision(path, field, value, reason or "", evidence or "")
