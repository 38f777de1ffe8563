"""The hashes by which runs know what they read, as versions 3 and 4 compute them: runs that were fresh stay so.

What a run read of a field is a hash of all its values at that time. Where values are written otherwise now, the hash of
every state that the field was ever in is computed both ways, from the last state back through the history; a run gets
the new hash of the state that it read, so that one which an undo would make fresh again becomes so too.
"""

from __future__ import annotations

import hashlib
import json
import sqlite3
from collections.abc import Mapping
from typing import Any

from pipeline.store.migrations.to_4.decisions import Columns, columns_now

Changed = dict[str, dict[str, str]]
"""Field, as version 3 calls it → the hash of a state of it in version 3 → in version 4."""


def sha256(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def options_digest(options: Mapping[str, Any]) -> str:
    """The hash of the options that a run had."""
    return sha256(json.dumps(options, sort_keys=True))


def inputs_digest(inputs: Mapping[str, str]) -> str:
    """The hash of all that a run read."""
    return sha256(json.dumps(dict(inputs), sort_keys=True))


def changed(connection: sqlite3.Connection) -> Changed:
    """The hashes of every state of those fields of which a value is written otherwise in version 4."""
    fields = [field for (field,) in connection.execute("SELECT DISTINCT field FROM history ORDER BY field")]
    return {field: found for field in fields if (found := _states(connection, field))}


def _states(connection: sqlite3.Connection, field: str) -> dict[str, str]:
    """Old hash → new hash of every state of a field; empty where no value of it changes."""
    connection.execute("CREATE TEMP TABLE state (path TEXT PRIMARY KEY, old TEXT, new TEXT)")
    try:
        rows = connection.execute("SELECT path, value, reason, evidence FROM decisions WHERE field=?", (field,))
        connection.executemany("INSERT INTO state VALUES (?,?,?)", [_both(field, *row) for row in rows.fetchall()])
        found = dict([_hashes(connection)])
        query = "SELECT DISTINCT run FROM history WHERE field=? ORDER BY run DESC"
        for (run,) in connection.execute(query, (field,)).fetchall():
            _step_back(connection, field, run)
            old, new = _hashes(connection)
            found[old] = new
    finally:
        connection.execute("DROP TABLE state")
    return found if any(old != new for old, new in found.items()) else {}


def _step_back(connection: sqlite3.Connection, field: str, run: int) -> None:
    """Make the table what it was before a run."""
    query = """SELECT path, before, before_reason, before_evidence FROM history WHERE field=? AND run=?
        ORDER BY rowid DESC"""
    for path, value, reason, evidence in connection.execute(query, (field, run)).fetchall():
        if value is None:
            connection.execute("DELETE FROM state WHERE path=?", (path,))
        else:
            both = _both(field, path, value, reason, evidence)
            connection.execute("INSERT OR REPLACE INTO state VALUES (?,?,?)", both)


def _both(field: str, path: str, value: str, reason: str | None, evidence: str | None) -> tuple[str, str, str | None]:
    return path, value, columns_now(field, Columns(value, reason, evidence)).value


def _hashes(connection: sqlite3.Connection) -> tuple[str, str]:
    """Hash of the old values and of the new ones."""
    old, new = hashlib.sha256(), hashlib.sha256()
    for path, before, after in connection.execute("SELECT path, old, new FROM state ORDER BY path"):
        old.update(repr((path, before)).encode())
        new.update(repr((path, after)).encode())
    return old.hexdigest(), new.hexdigest()
