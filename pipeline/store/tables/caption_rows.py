"""What the record knows of caption files: what each held when prep last wrote or read it, and what it held before."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterable, Sequence
from typing import NamedTuple

from pipeline.store.reasons.captions import FileEvent
from pipeline.store.tables.rows import dump

FILE = "caption file"
"""The field that `history` notes a caption file's text under."""

_KNOWN = f"""SELECT (SELECT text FROM captions WHERE path=:path),
    (SELECT value FROM decisions WHERE path=:path AND field='manual_caption'),
    (SELECT value FROM decisions WHERE path=:path AND field='caption'),
    (SELECT after FROM history WHERE path=:path AND field='{FILE}' AND after_reason='{FileEvent.WRITTEN}'
        ORDER BY history.rowid DESC LIMIT 1)"""
_PENDING = """SELECT path, before, wanted, manual FROM (
        SELECT i.path AS path, c.text AS before, h.value IS NOT NULL AS manual,
            coalesce(json_extract(h.value, '$'), json_extract(d.value, '$') || char(10)) AS wanted
        FROM images i LEFT JOIN decisions h ON h.path=i.path AND h.field='manual_caption'
            LEFT JOIN decisions d ON d.path=i.path AND d.field='caption'
            LEFT JOIN captions c ON c.path=i.path
        WHERE h.value IS NULL OR h.value<>'null')
    WHERE wanted IS NOT NULL AND wanted IS NOT before ORDER BY path"""


class Known(NamedTuple):
    """What the record says of one caption file: its text when last seen; and as JSON a person's caption, the decided
    one, and what curation last put there."""

    seen: str | None
    manual: str | None
    decided: str | None
    own: str | None

    def intended(self) -> str | None:
        """What prep would write."""
        text = self.manual or self.decided
        return None if text in (None, "null") else json.loads(str(text)) + ("" if self.manual else "\n")


class Stamp(NamedTuple):
    """A caption file as it was read: its image, text, size in bytes, and time of change in ns, 0 if that may lie."""

    path: str
    text: str
    bytes: int
    modified: int


class Pending(NamedTuple):
    """A caption that is not on disk yet: what the file held, what it is to hold, whether a person wrote that."""

    path: str
    before: str | None
    wanted: str
    manual: bool


class CaptionTable:
    """Caption files by the path of their image."""

    def __init__(self, db: sqlite3.Connection) -> None:
        self._db = db

    def texts(self) -> dict[str, str]:
        return dict(self._db.execute("SELECT path, text FROM captions"))

    def stamps(self) -> dict[str, tuple[int, int]]:
        """Path → (bytes, modification time in ns) when last read."""
        rows = self._db.execute("SELECT path, bytes, modified FROM captions")
        return {path: (size, modified) for path, size, modified in rows}

    def known(self, path: str) -> Known:
        return Known(*self._db.execute(_KNOWN, {"path": path}).fetchone())

    def pending(self) -> list[Pending]:
        """Captions that are decided and not on disk as far as is known, in order of path."""
        rows = self._db.execute(_PENDING)
        return [Pending(path, before, wanted, bool(manual)) for path, before, wanted, manual in rows]

    def put(self, stamps: Iterable[Stamp], gone: Iterable[str]) -> None:
        """Remember what these files hold, and that those are gone."""
        self._db.executemany("DELETE FROM captions WHERE path=?", [(path,) for path in gone])
        self._db.executemany("INSERT OR REPLACE INTO captions VALUES (?,?,?,?)", stamps)

    def decided_by(self, path: str) -> int | None:
        """The run that decided the caption of an image, or took in a person's."""
        (run,) = self._db.execute(
            "SELECT max(run) FROM decisions WHERE path=? AND field IN ('caption', 'manual_caption')", (path,)
        ).fetchone()
        return None if run is None else int(run)

    def note(self, rows: Sequence[tuple[int, str, str | None, str | None, FileEvent]]) -> None:
        """Note what files held and hold: (run, path, text before or None, text now or None, what happened)."""
        self._db.executemany(
            "INSERT INTO history VALUES (?,?,?,?,?,?,?,?,?)",
            [
                (run, path, FILE, _json(before), "", "", _json(now), what.value, "")
                for run, path, before, now, what in rows
            ],
        )

    def before(self, run: int) -> dict[str, str | None]:
        """Path → what its caption file held before a run, None for no file."""
        first: dict[str, str | None] = {}
        query = "SELECT path, before FROM history WHERE run=? AND field=? ORDER BY rowid"
        for path, before in self._db.execute(query, (run, FILE)):
            first.setdefault(path, None if before is None else json.loads(before))
        return first


def _json(text: str | None) -> str | None:
    return None if text is None else dump(text)
