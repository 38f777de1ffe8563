"""Hashes of what a stage reads: a stage is fresh while all of them are as they were when it ran."""

from __future__ import annotations

import hashlib
import sqlite3

SIDECAR = "sidecar"
"""The revision of a tagger whose scores are read from files and may change for the same content."""
_QUERIES = {
    "images": ("SELECT path, concept, content FROM images ORDER BY path", ()),
    "scores": (
        "SELECT s.content, s.tagger, iif(t.revision=?, s.scores, '') FROM scores s "
        "JOIN taggers t ON t.id=s.tagger ORDER BY s.content, s.tagger",
        (SIDECAR,),
    ),
}


def digest(db: sqlite3.Connection, name: str) -> str:
    """A hash of what a stage reads: `images`, `scores`, or the values of a decision field."""
    query, parameters = _QUERIES.get(name, ("SELECT path, value FROM decisions WHERE field=? ORDER BY path", (name,)))
    found = hashlib.sha256()
    for row in db.execute(query, parameters):
        found.update(repr(row).encode())
    return found.hexdigest()
