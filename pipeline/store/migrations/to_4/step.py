"""From version 3 to 4: the record, then the other files of the set."""

from __future__ import annotations

import sqlite3
from pathlib import Path

from pipeline.store.migrations.to_4 import decisions, digests, run_files, runs, settings

OLD_TABLES = frozenset(
    (
        *("images", "files", "measurements", "taggers", "scores", "captions", "runs"),
        *("decisions", "history", "image_history", "file_history"),
    )
)
"""The tables that a record of version 3 has."""


def rows(connection: sqlite3.Connection) -> None:
    connection.execute("CREATE TABLE unfinished_migrations (version INTEGER PRIMARY KEY)")
    connection.execute("ALTER TABLE measurements RENAME COLUMN sketch TO fingerprint")
    for column in ("coding TEXT", "jpeg_quality INTEGER", "lost REAL", "background TEXT"):
        connection.execute(f"ALTER TABLE measurements ADD COLUMN {column}")
    connection.execute("UPDATE measurements SET coding='', jpeg_quality=0, lost=0.0, background=''")
    changed = digests.changed(connection)
    decisions.bring_forward(connection)
    runs.bring_forward(connection, changed)


def files(root: Path) -> None:
    run_files.bring_forward(root)
    settings.bring_forward(root)
