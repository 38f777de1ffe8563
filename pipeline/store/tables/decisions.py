"""The table of decisions that hold now. Every change of a row is noted in `history`."""

from __future__ import annotations

import itertools
import json
import sqlite3
from collections.abc import Collection, Iterable, Iterator, Sequence
from typing import Any

from pipeline.store.records import Decision
from pipeline.store.tables.rows import columns_of, decision, decision_if_any, dump
from pipeline.store.values import codec
from pipeline.store.values.tags import leading_triggers

Changes = dict[tuple[str, str], tuple[Decision | None, Decision | None]]
"""(path, field) → (what holds now, what would hold), None where there is none."""
Row = tuple[str, str, str | None, str | None, str | None]
"""(path, field, value as JSON or None for no decision, reason, evidence)"""
_DIFFERENT = """
    SELECT d.path, d.field, d.value, d.reason, d.evidence, p.value, p.reason, p.evidence
    FROM decisions d LEFT JOIN temp.planned p ON p.path=d.path AND p.field=d.field
    WHERE d.field IN (SELECT field FROM temp.planned_fields)
        AND (d.value IS NOT p.value OR d.reason IS NOT p.reason OR d.evidence IS NOT p.evidence)
    UNION ALL
    SELECT p.path, p.field, NULL, NULL, NULL, p.value, p.reason, p.evidence
    FROM temp.planned p WHERE NOT EXISTS (SELECT 1 FROM decisions d WHERE d.path=p.path AND d.field=p.field)"""


class DecisionTable:
    """Decisions by path and field."""

    def __init__(self, db: sqlite3.Connection) -> None:
        self._db = db

    def of_field(self, field: str) -> dict[str, Decision]:
        rows = self._db.execute(
            "SELECT path, field, value, reason, evidence FROM decisions WHERE field=? ORDER BY path", (field,)
        )
        return {row[0]: decision(*row) for row in rows}

    def of_path(self, path: str, fields: Sequence[str] | None = None) -> tuple[Decision, ...]:
        of_fields = "" if fields is None else f" AND field IN ({','.join('?' * len(fields))})"
        rows = self._db.execute(
            f"SELECT path, field, value, reason, evidence FROM decisions WHERE path=?{of_fields} ORDER BY field",
            (path, *(fields or ())),
        )
        return tuple(decision(*row) for row in rows)

    def every(self) -> Iterator[tuple[int, Decision]]:
        rows = self._db.execute("SELECT run, path, field, value, reason, evidence FROM decisions ORDER BY path, field")
        return ((run, decision(*row)) for run, *row in rows)

    def values(self, field: str, among: Collection[str] | None) -> Iterator[tuple[str, Any]]:
        rows = self._db.execute("SELECT path, value FROM decisions WHERE field=? ORDER BY path", (field,))
        found, texts = itertools.tee(row for row in rows if among is None or row[0] in among)
        return zip((path for path, _ in found), codec.load_many(field, (text for _, text in texts)), strict=True)

    def trigger_words(self) -> dict[str, tuple[str, ...]]:
        rows = self._db.execute("SELECT path, value FROM decisions WHERE field='tags'")
        return {path: words for path, value in rows if (words := leading_triggers(value))}

    def paths_where(self, field: str, value: Any) -> set[str]:
        """The paths whose decision has this value."""
        rows = self._db.execute("SELECT path FROM decisions WHERE field=? AND value=?", (field, dump(value)))
        return {path for (path,) in rows}

    def manual_captions(self) -> dict[str, str]:
        rows = self._db.execute(
            "SELECT path, value FROM decisions WHERE field='manual_caption' AND value<>'null' ORDER BY path"
        )
        return {path: json.loads(value) for path, value in rows}

    def changes(self, fields: Iterable[str], decisions: Iterable[Decision]) -> Changes:
        self._lay_out(fields, decisions)
        rows = self._db.execute(f"{_DIFFERENT} ORDER BY 1, 2")
        return {
            (path, field): (decision_if_any(path, field, *old), decision_if_any(path, field, *new))
            for path, field, old, new in ((row[0], row[1], row[2:5], row[5:8]) for row in rows)
        }

    def replace(self, run: int, fields: Iterable[str], decisions: Iterable[Decision]) -> int:
        self._lay_out(fields, decisions)
        self._db.execute("DELETE FROM temp.differing")
        self._db.execute(f"INSERT INTO temp.differing {_DIFFERENT}")
        return self._carry_out(run)

    def put(self, run: int, rows: Iterable[Row]) -> int:
        self._db.execute("DELETE FROM temp.differing")
        self._db.executemany(
            "INSERT INTO temp.differing SELECT n.path, n.field, d.value, d.reason, d.evidence, n.value, n.reason, "
            "n.evidence FROM (SELECT ? AS path, ? AS field, ? AS value, ? AS reason, ? AS evidence) n "
            "LEFT JOIN decisions d ON d.path=n.path AND d.field=n.field WHERE d.value IS NOT n.value OR "
            "d.reason IS NOT n.reason OR d.evidence IS NOT n.evidence",
            rows,
        )
        return self._carry_out(run)

    def _lay_out(self, fields: Iterable[str], decisions: Iterable[Decision]) -> None:
        """Put what is planned into a table of this connection alone, to compare it with what holds."""
        self._db.execute("DELETE FROM temp.planned")
        self._db.execute("DELETE FROM temp.planned_fields")
        self._db.executemany("INSERT INTO temp.planned_fields VALUES (?)", [(field,) for field in fields])
        self._db.executemany(
            "INSERT INTO temp.planned VALUES (?,?,?,?,?)",
            map(columns_of, decisions),
        )

    def _carry_out(self, run: int) -> int:
        """Make the rows of `differing` hold, and note them; returns how many there are."""
        self._db.execute("INSERT INTO history SELECT ?, * FROM temp.differing ORDER BY path, field", (run,))
        self._db.execute(
            "DELETE FROM decisions WHERE (path, field) IN (SELECT path, field FROM temp.differing WHERE after IS NULL)"
        )
        self._db.execute(
            "INSERT OR REPLACE INTO decisions SELECT path, field, after, after_reason, after_evidence, ? "
            "FROM temp.differing WHERE after IS NOT NULL",
            (run,),
        )
        (changed,) = self._db.execute("SELECT count(*) FROM temp.differing").fetchone()
        return int(changed)
