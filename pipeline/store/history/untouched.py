"""To look into a record without writing a byte."""

from __future__ import annotations

import sqlite3
from pathlib import Path


def open_untouched(file: Path) -> sqlite3.Connection:
    """A connection that only reads. Where no other is writing to the file, it leaves no files beside it either."""
    log = file.with_name(file.name + "-wal")
    alone = not log.exists() or log.stat().st_size == 0
    how = "?mode=ro&immutable=1" if alone else "?mode=ro"
    return sqlite3.connect(file.absolute().as_uri() + how, uri=True, isolation_level=None, timeout=10)
