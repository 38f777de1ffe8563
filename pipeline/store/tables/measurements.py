"""The table of measurements: what the pixels of a content say."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable
from dataclasses import fields
from typing import Any

from pipeline.store.records import Measurement
from pipeline.store.tables.rows import columns, values


class MeasurementTable:
    """Measurements by the hash of the content they were taken of."""

    def __init__(self, db: sqlite3.Connection) -> None:
        self._db = db

    def every(self) -> dict[str, Measurement]:
        flags = [place for place, item in enumerate(fields(Measurement)) if item.type == "bool"]
        found = {}
        for row in self._db.execute(f"SELECT {columns(Measurement)} FROM measurements"):
            cells = list(row)
            for place in flags:
                cells[place] = bool(cells[place])
            if min(cells[1], cells[2]) < 0:
                raise ValueError(f"a size of {cells[1]}×{cells[2]}")
            found[cells[0]] = Measurement(*cells)
        return found

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
