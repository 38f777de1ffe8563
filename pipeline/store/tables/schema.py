"""The tables of manifest.db. A change here is a new version, with a step in `pipeline.store.migrations` that leads to it."""

from __future__ import annotations

from pipeline.store.records import Image, Measurement
from pipeline.store.tables.rows import columns, declared

FILE = "manifest.db"
VERSION = 4
APPLICATION_ID = 0x50524550
"""What SQLite's header says of the file: "PREP" in ASCII."""
TABLES = (
    """CREATE TABLE images (
        path TEXT PRIMARY KEY, concept TEXT NOT NULL, source TEXT NOT NULL, content TEXT NOT NULL,
        bytes INTEGER NOT NULL, link TEXT NOT NULL)""",
    """CREATE TABLE files (
        source TEXT PRIMARY KEY, bytes INTEGER NOT NULL, modified INTEGER NOT NULL, content TEXT NOT NULL)""",
    f"CREATE TABLE measurements (content TEXT PRIMARY KEY, {declared(Measurement)})",
    """CREATE TABLE taggers (
        id TEXT PRIMARY KEY, name TEXT, revision TEXT, preprocessing TEXT, provider TEXT, categories TEXT,
        thresholds TEXT, tag_thresholds TEXT, sha256 TEXT)""",
    "CREATE TABLE scores (content TEXT, tagger TEXT, scores TEXT, PRIMARY KEY (content, tagger))",
    """CREATE TABLE captions (
        path TEXT PRIMARY KEY, text TEXT NOT NULL, bytes INTEGER NOT NULL, modified INTEGER NOT NULL)""",
    """CREATE TABLE runs (
        id INTEGER PRIMARY KEY AUTOINCREMENT, stage TEXT, options TEXT, inputs TEXT, versions TEXT, counts TEXT,
        started TEXT, finished TEXT, files TEXT, undone INTEGER, origins TEXT)""",
    """CREATE TABLE decisions (
        path TEXT, field TEXT, value TEXT, reason TEXT, evidence TEXT, run INTEGER, PRIMARY KEY (path, field))""",
    """CREATE TABLE history (
        run INTEGER, path TEXT, field TEXT, before TEXT, before_reason TEXT, before_evidence TEXT,
        after TEXT, after_reason TEXT, after_evidence TEXT)""",
    "CREATE TABLE image_history (run INTEGER, path TEXT, before TEXT, after TEXT)",
    "CREATE TABLE file_history (run INTEGER, path TEXT, before TEXT, after TEXT, PRIMARY KEY (run, path))",
    "CREATE TABLE unfinished_migrations (version INTEGER PRIMARY KEY)",
    "CREATE INDEX decisions_by_field ON decisions (field)",
    "CREATE INDEX history_by_run ON history (run)",
    "CREATE INDEX history_by_path ON history (path, field)",
    "CREATE INDEX image_history_by_run ON image_history (run)",
)
"""One statement each. In `history` and its like, `before` and `after` are NULL where there was or is none."""
WORKING_TABLES = f"""
CREATE TEMP TABLE planned (
    path TEXT, field TEXT, value TEXT, reason TEXT, evidence TEXT, PRIMARY KEY (path, field)) WITHOUT ROWID;
CREATE TEMP TABLE planned_fields (field TEXT PRIMARY KEY);
CREATE TEMP TABLE planned_images ({columns(Image)}, PRIMARY KEY (path));
CREATE TEMP TABLE differing (
    path TEXT, field TEXT, before TEXT, before_reason TEXT, before_evidence TEXT, after TEXT, after_reason TEXT,
    after_evidence TEXT);
"""
"""Of one connection alone: what is planned is laid out here, to compare it with what holds."""
