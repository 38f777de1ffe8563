"""manifest.db: the one contract between stages, and the one input of the trainer.

Fields of decisions and their values (JSON):

| field      | stage      | value                                                                                 |
|------------|------------|---------------------------------------------------------------------------------------|
| placed     | flatten    | path in the set, or null for a source file that was left out (its key is the source)   |
| given      | flatten    | how often the person's folders say a picture is to be shown: 24.0                      |
| human      | edits      | the caption that a person wrote, as its file holds it                                  |
| keep       | check      | true or false                                                                         |
| bucket     | bucket     | {"size": [w, h], "scaled": [w, h], "crop": [left, top, right, bottom], "loss": 0..1}   |
| tags       | curate     | [[tag, action, reason], …]: every tag considered; action kept, dropped, added, renamed |
| caption    | curate     | the caption's text                                                                    |
| multiplier | balance    | {"exact": 1.25, "repeat": 1}                                                          |
| twin       | regularize | {"path": …, "caption": …, "size": [w, h], "seed": …} of the matched picture            |
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import sqlite3
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import astuple, fields
from datetime import UTC, datetime
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from pipeline.errors import PrepError
from pipeline.records import Decision, Image, Measurement, Run, Tagger

FILE = "manifest.db"
VERSION = 2
SCHEMA = """
CREATE TABLE IF NOT EXISTS images (
    path TEXT PRIMARY KEY, concept TEXT NOT NULL, source TEXT NOT NULL, content TEXT NOT NULL,
    bytes INTEGER NOT NULL, link TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS files (
    source TEXT PRIMARY KEY, bytes INTEGER NOT NULL, modified INTEGER NOT NULL, content TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS measurements (content TEXT PRIMARY KEY, {measurements});
CREATE TABLE IF NOT EXISTS taggers (
    id TEXT PRIMARY KEY, name TEXT, revision TEXT, preprocessing TEXT, provider TEXT, categories TEXT);
CREATE TABLE IF NOT EXISTS scores (
    content TEXT, tagger TEXT, scores TEXT, PRIMARY KEY (content, tagger));
CREATE TABLE IF NOT EXISTS captions (
    path TEXT PRIMARY KEY, intended TEXT, written TEXT, human TEXT);
CREATE TABLE IF NOT EXISTS runs (
    id INTEGER PRIMARY KEY, stage TEXT, options TEXT, digest TEXT, counts TEXT, started TEXT, finished TEXT);
CREATE TABLE IF NOT EXISTS decisions (
    path TEXT, field TEXT, value TEXT, reason TEXT, evidence TEXT, run INTEGER, PRIMARY KEY (path, field));
CREATE TABLE IF NOT EXISTS history (
    run INTEGER, path TEXT, field TEXT, before TEXT, before_reason TEXT, after TEXT, after_reason TEXT);
CREATE INDEX IF NOT EXISTS decisions_by_field ON decisions (field);
CREATE INDEX IF NOT EXISTS history_by_run ON history (run);
"""


class Manifest:
    """The open record of a set. Reading methods never write; writing methods belong inside `transaction()`."""

    def __init__(self, root: Path, connection: sqlite3.Connection) -> None:
        self.root = root
        self._db = connection

    @classmethod
    def open(cls, root: Path, create: bool = False) -> Self:
        """Open SET/manifest.db; with `create`, make the set where there is none.

        Raises:
            PrepError: there is no set, it is no database, or a newer version wrote it.
        """
        file = root / FILE
        if not file.exists() and not create:
            raise PrepError(f"no set at {root}: it has no {FILE}", f"make one with: prep flatten FOLDER {root}")
        if root.exists() and not root.is_dir():
            raise PrepError(f"{root} is a file, a set is a folder", "name a folder that is empty or not there yet")
        root.mkdir(parents=True, exist_ok=True)
        return cls(root, _connect(file))

    @classmethod
    def preview(cls, root: Path) -> Self:
        """The record of a set as far as there is one: nothing on disk is made for a set that is not there yet."""
        return cls.open(root) if (root / FILE).exists() else cls(root, _connect(":memory:"))

    def close(self) -> None:
        self._db.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    @contextlib.contextmanager
    def transaction(self) -> Iterator[None]:
        """All of the block's writes, or none."""
        self._db.execute("BEGIN IMMEDIATE")
        try:
            yield
        except BaseException:
            self._db.execute("ROLLBACK")
            raise
        self._db.execute("COMMIT")

    # --- pictures and what is known of their content

    def images(self) -> tuple[Image, ...]:
        """Every picture of the set, kept or not, in order of path."""
        rows = self._db.execute(f"SELECT {_columns(Image)} FROM images ORDER BY path")
        return tuple(Image(*row) for row in rows)

    def kept(self) -> tuple[Image, ...]:
        """The pictures that `check` kept (all of them before it ever ran), in order of path."""
        verdicts = self.decisions("keep")
        return tuple(image for image in self.images() if image.path not in verdicts or verdicts[image.path].value)

    def put_images(self, images: Iterable[Image]) -> None:
        """Replace the table of pictures."""
        self._db.execute("DELETE FROM images")
        self._db.executemany("INSERT INTO images VALUES (?,?,?,?,?,?)", [astuple(image) for image in images])

    def known_files(self) -> dict[str, tuple[int, int, str]]:
        """Source file → (bytes, modification time in ns, content), so that an unchanged file is hashed once."""
        return {
            source: (size, modified, content)
            for source, size, modified, content in self._db.execute(
                "SELECT source, bytes, modified, content FROM files"
            )
        }

    def put_files(self, rows: Iterable[tuple[str, int, int, str]]) -> None:
        """Remember (source, bytes, modified, content) rows."""
        self._db.executemany("INSERT OR REPLACE INTO files VALUES (?,?,?,?)", rows)

    def measurements(self) -> dict[str, Measurement]:
        """Content → measurement."""
        rows = self._db.execute(f"SELECT {_columns(Measurement)} FROM measurements")
        flags = [place for place, item in enumerate(fields(Measurement)) if item.type == "bool"]
        found = {}
        for row in rows:
            values = list(row)
            for place in flags:
                values[place] = bool(values[place])
            found[values[0]] = Measurement(*values)
        return found

    def put_measurements(self, found: Iterable[Measurement]) -> None:
        places = ",".join("?" * len(fields(Measurement)))
        self._db.executemany(
            f"INSERT OR REPLACE INTO measurements VALUES ({places})", (astuple(row) for row in found)
        )

    def taggers(self) -> dict[str, Tagger]:
        """Tagger id → the tagger, the one put last at the end."""
        rows = self._db.execute(
            "SELECT id, name, revision, preprocessing, provider, categories FROM taggers ORDER BY rowid"
        )
        return {row[0]: Tagger(row[1], row[2], row[3], row[4], json.loads(row[5])) for row in rows}

    def put_tagger(self, tagger: Tagger) -> None:
        self._db.execute(
            "INSERT OR REPLACE INTO taggers VALUES (?,?,?,?,?,?)",
            (
                tagger.id,
                tagger.name,
                tagger.revision,
                tagger.preprocessing,
                tagger.provider,
                _dump(dict(tagger.categories)),
            ),
        )

    def scores(self, tagger: str) -> dict[str, dict[str, float]]:
        """Content → {tag: probability} for one tagger id; only probabilities of 0.01 and more are stored."""
        rows = self._db.execute("SELECT content, scores FROM scores WHERE tagger=?", (tagger,))
        return {content: json.loads(scores) for content, scores in rows}

    def scored(self, tagger: str) -> set[str]:
        return {content for (content,) in self._db.execute("SELECT content FROM scores WHERE tagger=?", (tagger,))}

    def put_scores(self, tagger: str, found: Mapping[str, Mapping[str, float]]) -> None:
        self._db.executemany(
            "INSERT OR REPLACE INTO scores VALUES (?,?,?)",
            [(content, tagger, _dump(dict(scores))) for content, scores in found.items()],
        )

    # --- decisions and runs

    def decisions(self, field: str) -> dict[str, Decision]:
        """Path → the decision that holds now for one field."""
        rows = self._db.execute(
            "SELECT path, field, value, reason, evidence FROM decisions WHERE field=? ORDER BY path", (field,)
        )
        return {
            path: Decision(path, name, json.loads(value), reason, evidence)
            for path, name, value, reason, evidence in rows
        }

    def decisions_of(self, path: str) -> tuple[Decision, ...]:
        rows = self._db.execute(
            "SELECT path, field, value, reason, evidence FROM decisions WHERE path=? ORDER BY field", (path,)
        )
        return tuple(
            Decision(name, field, json.loads(value), reason, evidence) for name, field, value, reason, evidence in rows
        )

    def changes(
        self, fields: Iterable[str], decisions: Iterable[Decision]
    ) -> dict[tuple[str, str], tuple[Decision | None, Decision | None]]:
        """(path, field) → (what holds now, what would hold) where the two differ, in order of path."""
        before = {(decision.path, field): decision for field in fields for decision in self.decisions(field).values()}
        after = {(decision.path, decision.field): decision for decision in decisions}
        return {
            key: (before.get(key), after.get(key))
            for key in sorted(before.keys() | after.keys())
            if before.get(key) != after.get(key)
        }

    def all_decisions(self) -> tuple[tuple[int, Decision], ...]:
        """Every decision that holds now with the run that made it, in order of path and field."""
        rows = self._db.execute("SELECT run, path, field, value, reason, evidence FROM decisions ORDER BY path, field")
        return tuple(
            (run, Decision(path, field, json.loads(value), reason, evidence))
            for run, path, field, value, reason, evidence in rows
        )

    def put_decisions(self, run: int, fields: Iterable[str], decisions: Iterable[Decision]) -> int:
        """Make these the only decisions for these fields, note every change in `history`, return how many changed."""
        changed = self.changes(fields, decisions)
        for key, (old, new) in changed.items():
            self._db.execute(
                "INSERT INTO history VALUES (?,?,?,?,?,?,?)",
                (
                    run,
                    *key,
                    _dump(old.value) if old else None,
                    old.reason if old else None,
                    _dump(new.value) if new else None,
                    new.reason if new else None,
                ),
            )
            if new is None:
                self._db.execute("DELETE FROM decisions WHERE path=? AND field=?", key)
            else:
                self._db.execute(
                    "INSERT OR REPLACE INTO decisions VALUES (?,?,?,?,?,?)",
                    (new.path, new.field, _dump(new.value), new.reason, new.evidence, run),
                )
        return len(changed)

    def begin_run(self, stage: str, options: Mapping[str, Any], digest: str) -> int:
        cursor = self._db.execute(
            "INSERT INTO runs (stage, options, digest, counts, started, finished) VALUES (?,?,?,'{}',?,'')",
            (stage, _dump(dict(options)), digest, _now()),
        )
        assert cursor.lastrowid is not None
        return cursor.lastrowid

    def finish_run(self, run: int, counts: Mapping[str, int]) -> None:
        self._db.execute("UPDATE runs SET counts=?, finished=? WHERE id=?", (_dump(dict(counts)), _now(), run))

    def runs(self) -> tuple[Run, ...]:
        rows = self._db.execute("SELECT id, stage, options, digest, counts, started, finished FROM runs ORDER BY id")
        return tuple(
            Run(run, stage, json.loads(options), digest, json.loads(counts), started, finished)
            for run, stage, options, digest, counts, started, finished in rows
        )

    def last_run(self, stage: str) -> Run | None:
        """The newest run of a stage, finished or not."""
        return next((run for run in reversed(self.runs()) if run.stage == stage), None)

    # --- captions on disk

    def captions(self) -> dict[str, tuple[str | None, str | None, str | None]]:
        """Path → (intended, written, human): what prep wants there, what it last put there, what a person wrote."""
        return {
            path: (intended, written, human)
            for path, intended, written, human in self._db.execute(
                "SELECT path, intended, written, human FROM captions"
            )
        }

    def intend_caption(self, path: str, text: str) -> None:
        self._db.execute(
            "INSERT INTO captions VALUES (?,?,NULL,NULL) ON CONFLICT (path) DO UPDATE SET intended=excluded.intended",
            (path, text),
        )

    def caption_written(self, path: str, text: str) -> None:
        self._db.execute("UPDATE captions SET written=? WHERE path=?", (text, path))

    def put_human_caption(self, path: str, text: str | None) -> None:
        self._db.execute(
            "INSERT INTO captions VALUES (?,NULL,NULL,?) ON CONFLICT (path) DO UPDATE SET human=excluded.human",
            (path, text),
        )

    # --- freshness

    def digest(self, name: str) -> str:
        """A hash of what a stage reads: `images`, `captions` (human ones), `scores`, or a decision field."""
        queries = {
            "images": "SELECT path, concept, content FROM images ORDER BY path",
            "captions": "SELECT path, human FROM captions WHERE human IS NOT NULL ORDER BY path",
            "scores": "SELECT content, tagger FROM scores ORDER BY content, tagger",
        }
        if name in queries:
            rows = self._db.execute(queries[name])
        else:
            rows = self._db.execute("SELECT path, value FROM decisions WHERE field=? ORDER BY path", (name,))
        digest = hashlib.sha256()
        for row in rows:
            digest.update(repr(row).encode())
        return digest.hexdigest()


def _columns(record: type) -> str:
    return ", ".join(item.name for item in fields(record))


def _declared(record: type) -> str:
    """The columns of a table for a record, without its key, which comes first."""
    kinds = {"str": "TEXT", "float": "REAL", "int": "INTEGER", "bool": "INTEGER"}
    return ", ".join(f"{item.name} {kinds[str(item.type)]}" for item in fields(record)[1:])


def _dump(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False)


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="milliseconds")


def _connect(file: Path | str) -> sqlite3.Connection:
    connection = sqlite3.connect(file, isolation_level=None, timeout=10)
    try:
        connection.execute("PRAGMA journal_mode=WAL")
        connection.execute("PRAGMA synchronous=NORMAL")
        connection.executescript(SCHEMA.format(measurements=_declared(Measurement)))
        (version,) = connection.execute("PRAGMA user_version").fetchone()
        if version not in (0, VERSION):
            raise PrepError(f"{file} has format {version}, this prep reads {VERSION}", "update prep")
        connection.execute(f"PRAGMA user_version={VERSION}")
    except (sqlite3.OperationalError, PrepError):
        connection.close()
        raise
    except sqlite3.DatabaseError as error:
        connection.close()
        raise PrepError(f"{file} is not a manifest: {error}", f"move {file} away and flatten again") from error
    return connection
