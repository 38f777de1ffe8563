"""From version 3 to 4: names and words are the ones that the field uses.

`names` lists what is called otherwise, `decisions` brings decisions forward field by field, `runs` the runs with the hashes
that say whether they are fresh, `run_files` the files of training runs, `settings` the set's prep.toml.

No image is touched: a regularization image of version 3 bears its mark under another key, which is still read.
"""

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
    changed = digests.changed(connection)
    decisions.bring_forward(connection)
    runs.bring_forward(connection, changed)


def files(root: Path) -> None:
    run_files.bring_forward(root)
    settings.bring_forward(root)
