"""The table of measurements: what the pixels of a content say."""

from __future__ import annotations

import sqlite3
from collections.abc import Collection, Iterable, Iterator
from dataclasses import fields
from typing import Any

from pipeline.store.records import Measurement
from pipeline.store.tables.rows import columns, values

AT_ONCE = 500


class MeasurementTable:
    """Measurements by the hash of the content they were taken of."""

    def __init__(self, db: sqlite3.Connection) -> None:
        self._db = db

    def every(self, contents: Collection[str] | None = None) -> dict[str, Measurement]:
        flags = [place for place, item in enumerate(fields(Measurement)) if item.type == "bool"]
        found = {}
        for row in self._rows(contents):
            cells = list(row)
            for place in flags:
                cells[place] = bool(cells[place])
            if min(cells[1], cells[2]) < 0:
                raise ValueError(f"a size of {cells[1]}×{cells[2]}")
            found[cells[0]] = Measurement(*cells)
        return found

    def _rows(self, contents: Collection[str] | None) -> Iterator[tuple[Any, ...]]:
        """All rows, or those of some contents, as many at a time as SQLite takes parameters."""
        query = f"SELECT {columns(Measurement)} FROM measurements"
        if contents is None:
            yield from self._db.execute(query)
            return
        wanted = sorted(contents)
        for start in range(0, len(wanted), AT_ONCE):
            some = wanted[start : start + AT_ONCE]
            yield from self._db.execute(f"{query} WHERE content IN ({','.join('?' * len(some))})", some)

    def columns(self, *names: str) -> dict[str, tuple[Any, ...]]:
        known = {item.name for item in fields(Measurement)}
        assert set(names) <= known, names
        rows = self._db.execute(f"SELECT {', '.join(('content', *names))} FROM measurements ORDER BY content")
        return {row[0]: row[1:] for row in rows}

    def put(self, found: Iterable[Measurement]) -> None:
        self._db.executemany(
            f"INSERT OR REPLACE INTO measurements ({columns(Measurement)}) "
            f"VALUES ({','.join('?' * len(fields(Measurement)))})",
            map(values(Measurement), found),
        )
