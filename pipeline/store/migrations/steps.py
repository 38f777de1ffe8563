"""The steps in their order, and a record brought forward by them.

A step has `rows(connection)`, which changes the record, and `files(root)`, which changes other files of the set. The
rows of all steps are changed in one transaction: killed before it ends, the set is as it was. Files are changed after it,
each replaced as a whole; `unfinished_migrations` says that this is still to be done, and whoever opens the set next goes
on with it, so `files` may meet some that it changed already.
"""

from __future__ import annotations

import contextlib
import sqlite3
from collections.abc import Callable, Collection
from dataclasses import dataclass
from pathlib import Path

from pipeline.core.errors import PrepError
from pipeline.core.files import replacing
from pipeline.store.history.untouched import open_untouched
from pipeline.store.migrations.to_4 import step as to_4
from pipeline.store.tables.schema import APPLICATION_ID, VERSION


@dataclass(frozen=True, slots=True)
class Step:
    """What leads to a version from the one before it."""

    version: int
    rows: Callable[[sqlite3.Connection], None]
    files: Callable[[Path], None]


STEPS = (Step(4, to_4.rows, to_4.files),)
"""In their order, without a gap."""
OLDEST = STEPS[0].version - 1
"""The oldest version that can be brought forward."""


def made_by_prep(version: int, tables: Collection[str]) -> bool:
    """Whether a database without our application id, as it was not set before version 4, is nevertheless ours."""
    return version < 4 and set(tables) >= to_4.OLD_TABLES


def migrate(file: Path, version: int) -> None:
    """Bring a record forward to today's version; a copy of what it was stays beside it.

    Raises:
        PrepError: the file is damaged; it is left as it is.
    """
    _refuse_damaged(file)
    with contextlib.closing(sqlite3.connect(file, isolation_level=None, timeout=10)) as connection:
        _keep_copy(connection, backup_of(file, version))
        connection.execute("BEGIN IMMEDIATE")
        try:
            (now,) = connection.execute("PRAGMA user_version").fetchone()
            for step in STEPS:
                if step.version > now:
                    step.rows(connection)
                    connection.execute("INSERT INTO unfinished_migrations VALUES (?)", (step.version,))
            connection.execute(f"PRAGMA application_id={APPLICATION_ID}")
            connection.execute(f"PRAGMA user_version={VERSION}")
        except BaseException:
            connection.execute("ROLLBACK")
            raise
        connection.execute("COMMIT")


def finish(connection: sqlite3.Connection, root: Path) -> None:
    """Change the files of the set that a migration has not come to yet."""
    unfinished = {version for (version,) in connection.execute("SELECT version FROM unfinished_migrations")}
    for step in STEPS:
        if step.version in unfinished:
            step.files(root)
            connection.execute("DELETE FROM unfinished_migrations WHERE version=?", (step.version,))


def backup_of(file: Path, version: int) -> Path:
    """Where a record of an older version is kept when it is brought forward."""
    return file.with_name(f"{file.name}.v{version}")


def _refuse_damaged(file: Path) -> None:
    try:
        with contextlib.closing(open_untouched(file)) as connection:
            (found,) = connection.execute("PRAGMA quick_check(1)").fetchone()
    except sqlite3.OperationalError:
        raise
    except sqlite3.DatabaseError as error:
        found = str(error)
    if found != "ok":
        raise PrepError(f"{file} is damaged: {found}", "put back a copy of it, or move it away and flatten again")


def _keep_copy(connection: sqlite3.Connection, kept: Path) -> None:
    if kept.exists():
        return
    with replacing(kept) as part, contextlib.closing(sqlite3.connect(part, isolation_level=None)) as copy:
        connection.backup(copy)
        copy.execute("PRAGMA journal_mode=DELETE")
        copy.close()
