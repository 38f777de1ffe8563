"""The table of runs: each application of a stage, with what it read and made."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from typing import Any

from pipeline.store.records import Run
from pipeline.store.tables.rows import columns, dump

_LAST = f"""SELECT {columns(Run)} FROM runs WHERE stage=? AND undone IS NULL
    AND (? IS NULL OR json_extract(options, '$.name')=?) ORDER BY id DESC LIMIT 1"""
_CHANGED = {
    "images": "SELECT max(run) FROM image_history WHERE run>?",
    "scores": "SELECT NULL WHERE ? IS NULL",
}


class RunTable:
    """Runs by number. `files` holds patterns of what a run makes, until that is noted; then it is NULL."""

    def __init__(self, db: sqlite3.Connection) -> None:
        self._db = db

    def begin(
        self,
        stage: str,
        options: Mapping[str, Any],
        inputs: Mapping[str, str],
        versions: Mapping[str, str],
        files: Iterable[str],
        origins: Mapping[str, str],
    ) -> int:
        parts = dict(options), dict(inputs), dict(versions), list(files), dict(origins)
        cursor = self._db.execute(
            "INSERT INTO runs (stage, options, inputs, versions, files, origins, counts, started, finished) "
            "VALUES (?,?,?,?,?,?,'{}',?,'')",
            (stage, *map(dump, parts), _now()),
        )
        assert cursor.lastrowid is not None
        return cursor.lastrowid

    def finish(self, run: int, counts: Mapping[str, int]) -> None:
        self._db.execute("UPDATE runs SET counts=?, finished=? WHERE id=?", (dump(dict(counts)), _now(), run))

    def drop(self, run: int) -> None:
        self._db.execute("DELETE FROM runs WHERE id=?", (run,))

    def did_something(self, run: int) -> bool:
        tables = ("history", "image_history", "file_history")
        return any(
            self._db.execute(f"SELECT 1 FROM {table} WHERE run=? LIMIT 1", (run,)).fetchone() for table in tables
        )

    def patterns(self, run: int) -> tuple[str, ...] | None:
        (text,) = self._db.execute("SELECT files FROM runs WHERE id=?", (run,)).fetchone()
        return None if text is None else tuple(json.loads(text))

    def forget_patterns(self, run: int) -> None:
        self._db.execute("UPDATE runs SET files=NULL WHERE id=?", (run,))

    def every(self) -> tuple[Run, ...]:
        rows = self._db.execute(f"SELECT {columns(Run)} FROM runs ORDER BY id")
        return tuple(_run(*row) for row in rows)

    def last(self, stage: str, name: str | None) -> Run | None:
        row = self._db.execute(_LAST, (stage, name, name)).fetchone()
        return _run(*row) if row else None

    def changed_by(self, name: str, since: int) -> Run | None:
        query = _CHANGED.get(name, "SELECT max(run) FROM history WHERE run>? AND field=?")
        parameters = (since,) if name in _CHANGED else (since, name)
        (number,) = self._db.execute(query, parameters).fetchone() or (None,)
        row = self._db.execute(f"SELECT {columns(Run)} FROM runs WHERE id=?", (number,)).fetchone()
        return _run(*row) if row else None

    def mark_undone(self, run: int, by: int) -> None:
        self._db.execute("UPDATE runs SET undone=? WHERE id=?", (by, run))

    def bring_back(self, undone_by: int) -> None:
        """What that run undid holds again."""
        self._db.execute("UPDATE runs SET undone=NULL WHERE undone=?", (undone_by,))


def _run(number: int, stage: str, *rest: Any) -> Run:
    options, inputs, versions, counts = (json.loads(text) for text in rest[:4])
    started, finished, undone, origins = rest[4:]
    if not (isinstance(started, str) and isinstance(finished, str)):
        raise ValueError(f"run {number} began {started!r} and ended {finished!r}")
    return Run(number, stage, options, inputs, versions, counts, started, finished, undone, json.loads(origins))


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="milliseconds")
