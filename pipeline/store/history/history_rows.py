"""What runs changed: rows of decisions in `history`, images in `image_history`, other files in `file_history`."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Iterator
from typing import NamedTuple

from pipeline.store.records import Decision
from pipeline.store.tables.caption_rows import FILE
from pipeline.store.tables.decisions import Row
from pipeline.store.tables.rows import decision_if_any

_ROWS_SINCE = f"""SELECT h.path, h.field, l.run FROM history h
    JOIN history l ON l.path=h.path AND l.field=h.field AND l.run>h.run
    LEFT JOIN decisions d ON d.path=h.path AND d.field=h.field
    WHERE h.run=? AND (h.field='{FILE}' OR d.value IS NOT h.after OR d.reason IS NOT h.after_reason
        OR d.evidence IS NOT h.after_evidence)"""
_IMAGES_SINCE = """SELECT h.path, 'images', l.run FROM image_history h
    JOIN image_history l ON l.path=h.path AND l.run>h.run WHERE h.run=?"""
_USED_SINCE = f"""SELECT h.path, l.field, l.run FROM image_history h
    JOIN history l ON l.path=h.path AND l.field='{FILE}' AND l.run>h.run WHERE h.run=? AND h.before IS NULL"""


class Step(NamedTuple):
    """One change of one decision by one run."""

    path: str
    field: str
    before: Decision | None
    after: Decision | None
    run: int


class FileStep(NamedTuple):
    """One change of one file of the set by one run, as stamps: "" where there was no file, None where that is open."""

    path: str
    before: str
    after: str | None


class HistoryTables:
    """What every run changed, for undo and for telling differences."""

    def __init__(self, db: sqlite3.Connection) -> None:
        self._db = db

    # --- decisions

    def steps(self, after: int, until: int) -> Iterator[Step]:
        """Every change of a decision by a run above `after` and up to `until`, in order of path, field and run."""
        query = """SELECT path, field, before, before_reason, before_evidence, after, after_reason, after_evidence, run
            FROM history WHERE run>? AND run<=? AND field<>? ORDER BY path, field, run, rowid"""
        for path, field, *rest, run in self._db.execute(query, (after, until, FILE)):
            old, new = decision_if_any(path, field, *rest[:3]), decision_if_any(path, field, *rest[3:])
            yield Step(path, field, old, new, run)

    def rows_before(self, run: int) -> Iterator[Row]:
        """The decisions that a run changed, as they were before it."""
        query = "SELECT path, field, before, before_reason, before_evidence FROM history WHERE run=? AND field<>?"
        return iter(self._db.execute(query, (run, FILE)))

    def changed_since(self, run: int) -> Iterator[tuple[str, str, int]]:
        """(path, field, later run) where a later run changed what this one did, or built on it; undone runs too."""
        for query in (_ROWS_SINCE, _IMAGES_SINCE, _USED_SINCE):
            yield from self._db.execute(query, (run,))

    # --- other files

    def files(self, run: int) -> list[FileStep]:
        rows = self._db.execute("SELECT path, before, after FROM file_history WHERE run=?", (run,))
        return [FileStep(*row) for row in rows]

    def files_of_both(self, run: int, by: int) -> list[tuple[str, str, str]]:
        """(path, stamp before a run, stamp before the one that undoes it), in order of path."""
        return self._db.execute(
            "SELECT r.path, r.before, u.before FROM file_history r JOIN file_history u ON u.path=r.path AND u.run=? "
            "WHERE r.run=? ORDER BY r.path",
            (by, run),
        ).fetchall()

    def file_steps(self, after: int, until: int) -> Iterator[FileStep]:
        """Every change of a file by a run above `after` and up to `until`, in order of path and run."""
        query = "SELECT path, before, after FROM file_history WHERE run>? AND run<=? ORDER BY path, run"
        return (FileStep(*row) for row in self._db.execute(query, (after, until)))

    def made_by_stage(self, stage: str) -> Iterator[tuple[str, str]]:
        """(path, stamp) of every file that runs of a stage made or replaced."""
        return iter(
            self._db.execute(
                "SELECT f.path, f.after FROM file_history f JOIN runs r ON r.id=f.run "
                "WHERE r.stage=? AND f.after IS NOT NULL AND f.after<>''",
                (stage,),
            )
        )

    def note_files(self, run: int, stamps: Iterable[tuple[str, str]]) -> None:
        """Note (path, stamp before) of files that a run may change; what is noted already stays."""
        self._db.executemany(
            "INSERT OR IGNORE INTO file_history VALUES (?,?,?,NULL)", ((run, path, before) for path, before in stamps)
        )

    def finish_files(self, run: int, changed: Iterable[tuple[str, str]], same: Iterable[str]) -> None:
        """Note (path, stamp after) of what changed, and forget what is as it was."""
        self._db.executemany("DELETE FROM file_history WHERE run=? AND path=?", ((run, path) for path in same))
        self._db.executemany(
            "UPDATE file_history SET after=? WHERE run=? AND path=?", ((after, run, path) for path, after in changed)
        )
