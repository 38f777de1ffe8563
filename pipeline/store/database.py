"""The file manifest.db: what it is, is found out before anything is written; then it is made, brought forward, or opened."""

from __future__ import annotations

import contextlib
import os
import shutil
import sqlite3
import tempfile
from collections.abc import Iterator
from pathlib import Path

from pipeline.core.errors import PrepError
from pipeline.store.history.untouched import open_untouched
from pipeline.store.migrations import steps
from pipeline.store.tables.schema import APPLICATION_ID, TABLES, VERSION, WORKING_TABLES


def connect(file: Path) -> sqlite3.Connection:
    """A connection to a record of today's version: one that is not there yet is made, an older one is brought forward.

    Raises:
        PrepError: it is no database, another program's, or of a version that this one cannot read. Nothing was written.
    """
    version = version_of(file)
    if file.exists() and not os.access(file.parent, os.W_OK):
        return _copy_in_memory(file, version)
    if version not in (0, VERSION):
        steps.migrate(file, version)
    connection = sqlite3.connect(file, isolation_level=None, timeout=10)
    try:
        connection.execute("PRAGMA journal_mode=WAL")
        connection.execute("PRAGMA synchronous=NORMAL")
        if version == 0:
            _create(connection)
        steps.finish(connection, file.parent)
        connection.executescript(WORKING_TABLES)
    except BaseException:
        connection.close()
        raise
    return connection


def _copy_in_memory(file: Path, version: int) -> sqlite3.Connection:
    """A record on a disk that cannot be written to, to look at: what is written to it is forgotten.

    Raises:
        PrepError: an older prep made it, and it cannot be brought forward there.
    """
    if version != VERSION:
        raise PrepError(
            f"{file} has format {version} and lies where nothing can be written",
            "copy the set to where it can be, and look there",
        )
    connection = sqlite3.connect(":memory:", isolation_level=None)
    with tempfile.TemporaryDirectory() as folder:
        for name in (file.name, f"{file.name}-wal"):
            if (file.parent / name).exists():
                shutil.copyfile(file.parent / name, Path(folder) / name)
        with contextlib.closing(sqlite3.connect(Path(folder) / file.name)) as copy:
            copy.backup(connection)
    connection.executescript(WORKING_TABLES)
    return connection


def in_memory() -> sqlite3.Connection:
    """An empty record that is not on disk."""
    connection = sqlite3.connect(":memory:", isolation_level=None)
    _create(connection)
    connection.executescript(WORKING_TABLES)
    return connection


@contextlib.contextmanager
def transaction(connection: sqlite3.Connection) -> Iterator[None]:
    """All of the block's writes, or none."""
    connection.execute("BEGIN IMMEDIATE")
    try:
        yield
    except BaseException:
        connection.execute("ROLLBACK")
        raise
    connection.execute("COMMIT")


def version_of(file: Path) -> int:
    """The version of a record, found without writing a byte; 0 where there is none yet.

    Raises:
        PrepError: it is no database, another program's, or of a version that this one cannot read.
    """
    if not file.exists():
        return 0
    try:
        with contextlib.closing(open_untouched(file)) as connection:
            (application,) = connection.execute("PRAGMA application_id").fetchone()
            (version,) = connection.execute("PRAGMA user_version").fetchone()
            tables = {name for (name,) in connection.execute("SELECT name FROM sqlite_master WHERE type='table'")}
    except sqlite3.OperationalError:
        raise
    except sqlite3.DatabaseError as error:
        raise PrepError(f"{file} is not a manifest: {error}", f"move {file} away and flatten again") from error
    if not tables and version == 0 and application in (0, APPLICATION_ID):
        return 0
    known = application == APPLICATION_ID or (application == 0 and steps.made_by_prep(version, tables))
    if not known:
        raise PrepError(f"{file} is not a manifest: another program made it", f"move {file} away and flatten again")
    if version > VERSION:
        raise PrepError(f"{file} has format {version}, this prep reads up to {VERSION}", "update prep")
    if version < steps.OLDEST:
        raise PrepError(
            f"{file} has format {version}, this prep reads {steps.OLDEST} to {VERSION}",
            "an older prep made it: flatten the same folders into a new set",
        )
    return int(version)


def _create(connection: sqlite3.Connection) -> None:
    """Make the tables, unless another process was quicker."""
    with transaction(connection):
        if connection.execute("SELECT count(*) FROM sqlite_master").fetchone() != (0,):
            return
        for statement in TABLES:
            connection.execute(statement)
        connection.execute(f"PRAGMA application_id={APPLICATION_ID}")
        connection.execute(f"PRAGMA user_version={VERSION}")
