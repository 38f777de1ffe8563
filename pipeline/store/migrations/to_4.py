"""From version 3 to 4."""

from __future__ import annotations

import sqlite3
from pathlib import Path

OLD_TABLES = frozenset(
    (
        *("images", "files", "measurements", "taggers", "scores", "captions", "runs"),
        *("decisions", "history", "image_history", "file_history"),
    )
)
"""The tables that a record of version 3 has."""


def rows(connection: sqlite3.Connection, root: Path) -> None:
    connection.execute("CREATE TABLE unfinished_migrations (version INTEGER PRIMARY KEY)")


def files(root: Path) -> None:
    pass
