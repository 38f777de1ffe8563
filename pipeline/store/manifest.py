"""manifest.db: the one contract between stages, and the one input of the trainer.

Fields of decisions and their values (JSON):

| field      | stage      | value                                                                                 |
|------------|------------|---------------------------------------------------------------------------------------|
| placed     | flatten    | path in the set, or null for a source file that was left out (its key is the source)   |
| user_repeats | flatten  | how often the person's folders say an image is to be shown: 24.0                      |
| human      | edits      | the caption that a person wrote, as its file holds it                                  |
| keep       | check      | true or false                                                                         |
| bucket     | bucket     | {"size": [w, h], "scaled": [w, h], "crop": [left, top, right, bottom], "loss": 0..1,   |
|            |            | "anchor": what moved the crop, "background": "#rrggbb" for transparent images}       |
| tagger     | tag        | id of the tagger whose scores are meant, or a list of ids, for the whole set (path ".")|
| tags       | curate     | [[tag, action, reason], …]: every tag considered; action kept, dropped, added, renamed |
| overlay    | tags       | [["add", tag], ["remove", tag], ["replace", old, new], …]: edits that curation keeps   |
| caption    | curate     | the caption's text                                                                    |
| flags      | curate     | ["watermark", …]: what is wrong with the image and not said in its caption           |
| contradictions | curate | [{"slot", "dominant", "rival", "score", "dominant_score", "share", "fix", "mended"}, …] |
| cut        | train      | [tag, …]: tags of the caption that the text encoder does not see                      |
| repeats    | balance    | {"exact": 1.25, "repeat": 1}                                                          |
| regularization | regularize | {"path": …, "caption": …, "size": [w, h], "seed": …} of the matched image; "more":   |
|            |            | […], what further ones have otherwise; given ones have "matched": false and a "bucket" |
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import operator
import sqlite3
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import fields
from datetime import UTC, datetime
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from pipeline.core.errors import PrepError
from pipeline.store.records import Decision, Image, Measurement, Run, Tagger

FILE = "manifest.db"
VERSION = 3
SIDECAR = "sidecar"
"""The revision of a tagger whose scores are read from files and may change for the same content."""
SCHEMA = """
CREATE TABLE IF NOT EXISTS images (
    path TEXT PRIMARY KEY, concept TEXT NOT NULL, source TEXT NOT NULL, content TEXT NOT NULL,
    bytes INTEGER NOT NULL, link TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS files (
    source TEXT PRIMARY KEY, bytes INTEGER NOT NULL, modified INTEGER NOT NULL, content TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS measurements (content TEXT PRIMARY KEY, {measurements});
CREATE TABLE IF NOT EXISTS taggers (
    id TEXT PRIMARY KEY, name TEXT, revision TEXT, preprocessing TEXT, provider TEXT, categories TEXT,
    thresholds TEXT, tag_thresholds TEXT, sha256 TEXT);
CREATE TABLE IF NOT EXISTS scores (
    content TEXT, tagger TEXT, scores TEXT, PRIMARY KEY (content, tagger));
CREATE TABLE IF NOT EXISTS captions (
    path TEXT PRIMARY KEY, text TEXT NOT NULL, bytes INTEGER NOT NULL, modified INTEGER NOT NULL);
CREATE TABLE IF NOT EXISTS runs (
    id INTEGER PRIMARY KEY AUTOINCREMENT, stage TEXT, options TEXT, inputs TEXT, versions TEXT, counts TEXT,
    started TEXT, finished TEXT, files TEXT, undone INTEGER, origins TEXT);
CREATE TABLE IF NOT EXISTS decisions (
    path TEXT, field TEXT, value TEXT, reason TEXT, evidence TEXT, run INTEGER, PRIMARY KEY (path, field));
CREATE TABLE IF NOT EXISTS history (
    run INTEGER, path TEXT, field TEXT, before TEXT, before_reason TEXT, before_evidence TEXT,
    after TEXT, after_reason TEXT, after_evidence TEXT);
CREATE TABLE IF NOT EXISTS image_history (
    run INTEGER, path TEXT, before TEXT, after TEXT);
CREATE TABLE IF NOT EXISTS file_history (
    run INTEGER, path TEXT, before TEXT, after TEXT, PRIMARY KEY (run, path));
CREATE INDEX IF NOT EXISTS decisions_by_field ON decisions (field);
CREATE INDEX IF NOT EXISTS history_by_run ON history (run);
CREATE INDEX IF NOT EXISTS history_by_path ON history (path, field);
CREATE INDEX IF NOT EXISTS image_history_by_run ON image_history (run);
CREATE TEMP TABLE planned (
    path TEXT, field TEXT, value TEXT, reason TEXT, evidence TEXT, PRIMARY KEY (path, field)) WITHOUT ROWID;
CREATE TEMP TABLE planned_fields (field TEXT PRIMARY KEY);
CREATE TEMP TABLE planned_images ({images}, PRIMARY KEY (path));
CREATE TEMP TABLE differing (
    path TEXT, field TEXT, before TEXT, before_reason TEXT, before_evidence TEXT, after TEXT, after_reason TEXT,
    after_evidence TEXT);
"""
_DIFFERENT = """
    SELECT d.path, d.field, d.value, d.reason, d.evidence, p.value, p.reason, p.evidence
    FROM decisions d LEFT JOIN temp.planned p ON p.path=d.path AND p.field=d.field
    WHERE d.field IN (SELECT field FROM temp.planned_fields)
        AND (d.value IS NOT p.value OR d.reason IS NOT p.reason OR d.evidence IS NOT p.evidence)
    UNION ALL
    SELECT p.path, p.field, NULL, NULL, NULL, p.value, p.reason, p.evidence
    FROM temp.planned p WHERE NOT EXISTS (SELECT 1 FROM decisions d WHERE d.path=p.path AND d.field=p.field)"""
_IMAGE = "json_array(" + ", ".join("{0}." + item.name for item in fields(Image)) + ")"
_DIFFERENT_IMAGES = f"""
    SELECT ?, i.path, {_IMAGE.format("i")}, iif(p.path IS NULL, NULL, {_IMAGE.format("p")})
    FROM images i LEFT JOIN temp.planned_images p ON p.path=i.path
    WHERE p.path IS NULL OR {_IMAGE.format("i")} <> {_IMAGE.format("p")}
    UNION ALL
    SELECT ?, p.path, NULL, {_IMAGE.format("p")}
    FROM temp.planned_images p WHERE NOT EXISTS (SELECT 1 FROM images i WHERE i.path=p.path)"""


class Manifest:
    """The open record of a set. Reading methods never write; writing methods belong inside `transaction()`."""

    def __init__(self, root: Path, connection: sqlite3.Connection) -> None:
        self.root = root
        self.db = connection

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
        self.db.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    @contextlib.contextmanager
    def transaction(self) -> Iterator[None]:
        """All of the block's writes, or none."""
        self.db.execute("BEGIN IMMEDIATE")
        try:
            yield
        except BaseException:
            self.db.execute("ROLLBACK")
            raise
        self.db.execute("COMMIT")

    # --- images and what is known of their content

    def images(self) -> tuple[Image, ...]:
        """Every image of the set, kept or not, in order of path."""
        rows = self.db.execute(f"SELECT {_columns(Image)} FROM images ORDER BY path")
        return tuple(Image(*row) for row in rows)

    def paths(self) -> Iterator[str]:
        """The path of every image of the set, in order; nothing else of it is read."""
        return (path for (path,) in self.db.execute("SELECT path FROM images ORDER BY path"))

    def kept(self) -> tuple[Image, ...]:
        """The images that `check` kept (all of them before it ever ran), in order of path."""
        rows = self.db.execute(
            f"SELECT {', '.join('i.' + item.name for item in fields(Image))} FROM images i LEFT JOIN decisions d "
            "ON d.path=i.path AND d.field='keep' WHERE d.value IS NULL OR d.value='true' ORDER BY i.path"
        )
        return tuple(Image(*row) for row in rows)

    def without(self, field: str) -> list[str]:
        """Kept images that have no decision of a field, in order of path."""
        rows = self.db.execute(
            "SELECT i.path FROM images i LEFT JOIN decisions k ON k.path=i.path AND k.field='keep' "
            "LEFT JOIN decisions d ON d.path=i.path AND d.field=? "
            "WHERE (k.value IS NULL OR k.value='true') AND d.path IS NULL ORDER BY i.path",
            (field,),
        )
        return [path for (path,) in rows]

    def put_images(self, images: Iterable[Image], run: int = 0) -> None:
        """Replace the table of images; what changes is noted under the run."""
        self.db.execute("DELETE FROM temp.planned_images")
        self.db.executemany("INSERT INTO temp.planned_images VALUES (?,?,?,?,?,?)", map(_values(Image), images))
        self.db.execute(f"INSERT INTO image_history {_DIFFERENT_IMAGES}", (run, run))
        self.db.execute("DELETE FROM images")
        self.db.execute("INSERT INTO images SELECT * FROM temp.planned_images")

    def known_files(self) -> dict[str, tuple[int, int, str]]:
        """Source file → (bytes, modification time in ns, content), so that an unchanged file is hashed once."""
        return {
            source: (size, modified, content)
            for source, size, modified, content in self.db.execute("SELECT source, bytes, modified, content FROM files")
        }

    def put_files(self, rows: Iterable[tuple[str, int, int, str]]) -> None:
        """Remember (source, bytes, modified, content) rows."""
        self.db.executemany("INSERT OR REPLACE INTO files VALUES (?,?,?,?)", rows)

    def measurements(self) -> dict[str, Measurement]:
        """Content → measurement."""
        rows = self.db.execute(f"SELECT {_columns(Measurement)} FROM measurements")
        flags = [place for place, item in enumerate(fields(Measurement)) if item.type == "bool"]
        found = {}
        for row in rows:
            values = list(row)
            for place in flags:
                values[place] = bool(values[place])
            found[values[0]] = Measurement(*values)
        return found

    def measured(self, *columns: str) -> dict[str, tuple[Any, ...]]:
        """Content → these columns of its measurement; far quicker than whole records where a set is large."""
        known = {item.name for item in fields(Measurement)}
        assert set(columns) <= known, columns
        rows = self.db.execute(f"SELECT {', '.join(('content', *columns))} FROM measurements ORDER BY content")
        return {row[0]: row[1:] for row in rows}

    def put_measurements(self, found: Iterable[Measurement]) -> None:
        places = ",".join("?" * len(fields(Measurement)))
        self.db.executemany(f"INSERT OR REPLACE INTO measurements VALUES ({places})", map(_values(Measurement), found))

    def taggers(self) -> dict[str, Tagger]:
        """Tagger id → the tagger, the one put last at the end."""
        names = [item.name for item in fields(Tagger)]
        rows = self.db.execute(f"SELECT id, {', '.join(names)} FROM taggers ORDER BY rowid")
        found = {}
        for key, name, revision, preprocessing, provider, *tables, sha256 in rows:
            categories, by_category, by_tag = (json.loads(table) for table in tables)
            found[key] = Tagger(name, revision, preprocessing, provider, categories, by_category, by_tag, sha256)
        return found

    def put_tagger(self, tagger: Tagger) -> None:
        texts = tagger.name, tagger.revision, tagger.preprocessing, tagger.provider
        tables = (_dump(dict(table)) for table in (tagger.categories, tagger.thresholds, tagger.tag_thresholds))
        self.db.execute(
            "INSERT OR REPLACE INTO taggers VALUES (?,?,?,?,?,?,?,?,?)", (tagger.id, *texts, *tables, tagger.sha256)
        )

    def scores(self, tagger: str) -> dict[str, dict[str, float]]:
        """Content → {tag: probability} for one tagger id; only probabilities of 0.01 and more are stored."""
        rows = self.db.execute("SELECT content, scores FROM scores WHERE tagger=?", (tagger,))
        return {content: json.loads(scores) for content, scores in rows}

    def scored(self, tagger: str) -> set[str]:
        return {content for (content,) in self.db.execute("SELECT content FROM scores WHERE tagger=?", (tagger,))}

    def put_scores(self, tagger: str, found: Mapping[str, Mapping[str, float]]) -> None:
        self.db.executemany(
            "INSERT OR REPLACE INTO scores VALUES (?,?,?)",
            [(content, tagger, _dump(dict(scores))) for content, scores in found.items()],
        )

    # --- decisions

    def decisions(self, field: str) -> dict[str, Decision]:
        """Path → the decision that holds now for one field."""
        rows = self.db.execute(
            "SELECT path, field, value, reason, evidence FROM decisions WHERE field=? ORDER BY path", (field,)
        )
        return {row[0]: _decision(*row) for row in rows}

    def decisions_of(self, path: str) -> tuple[Decision, ...]:
        rows = self.db.execute(
            "SELECT path, field, value, reason, evidence FROM decisions WHERE path=? ORDER BY field", (path,)
        )
        return tuple(_decision(*row) for row in rows)

    def all_decisions(self) -> Iterator[tuple[int, Decision]]:
        """Every decision that holds now with the run that made it, in order of path and field."""
        rows = self.db.execute("SELECT run, path, field, value, reason, evidence FROM decisions ORDER BY path, field")
        return ((run, _decision(*row)) for run, *row in rows)

    def changes(
        self, fields: Iterable[str], decisions: Iterable[Decision]
    ) -> dict[tuple[str, str], tuple[Decision | None, Decision | None]]:
        """(path, field) → (what holds now, what would hold) where the two differ, in order of path."""
        self._lay_out(fields, decisions)
        rows = self.db.execute(f"{_DIFFERENT} ORDER BY 1, 2")
        return {
            (path, field): (_if_any(path, field, *old), _if_any(path, field, *new))
            for path, field, old, new in ((row[0], row[1], row[2:5], row[5:8]) for row in rows)
        }

    def put_decisions(self, run: int, fields: Iterable[str], decisions: Iterable[Decision]) -> int:
        """Make these the only decisions for these fields, note every change in `history`, return how many changed."""
        self._lay_out(fields, decisions)
        self.db.execute("DELETE FROM temp.differing")
        self.db.execute(f"INSERT INTO temp.differing {_DIFFERENT}")
        return self._settle(run)

    def put_rows(self, run: int, rows: Iterable[Decision], gone: Iterable[tuple[str, str]] = ()) -> int:
        """Change single decisions: put these, drop those of (path, field) in `gone`; noted like any other change."""
        planned = [(row.path, row.field, _dump(row.value), row.reason, row.evidence) for row in rows]
        return self.put_back(run, planned + [(path, field, None, None, None) for path, field in gone])

    def put_back(self, run: int, rows: Iterable[tuple[str, str, str | None, str | None, str | None]]) -> int:
        """Change single decisions: (path, field, value as JSON or None for no decision, reason, evidence)."""
        self.db.execute("DELETE FROM temp.differing")
        self.db.executemany(
            "INSERT INTO temp.differing SELECT n.path, n.field, d.value, d.reason, d.evidence, n.value, n.reason, "
            "n.evidence FROM (SELECT ? AS path, ? AS field, ? AS value, ? AS reason, ? AS evidence) n "
            "LEFT JOIN decisions d ON d.path=n.path AND d.field=n.field WHERE d.value IS NOT n.value OR "
            "d.reason IS NOT n.reason OR d.evidence IS NOT n.evidence",
            rows,
        )
        return self._settle(run)

    def _lay_out(self, fields: Iterable[str], decisions: Iterable[Decision]) -> None:
        """Put what is planned into a table of this connection alone, to compare it with what holds."""
        self.db.execute("DELETE FROM temp.planned")
        self.db.execute("DELETE FROM temp.planned_fields")
        self.db.executemany("INSERT INTO temp.planned_fields VALUES (?)", [(field,) for field in fields])
        self.db.executemany(
            "INSERT INTO temp.planned VALUES (?,?,?,?,?)",
            ((each.path, each.field, _dump(each.value), each.reason, each.evidence) for each in decisions),
        )

    def _settle(self, run: int) -> int:
        """Carry out the rows of `differing`, and note them."""
        self.db.execute("INSERT INTO history SELECT ?, * FROM temp.differing ORDER BY path, field", (run,))
        self.db.execute(
            "DELETE FROM decisions WHERE (path, field) IN (SELECT path, field FROM temp.differing WHERE after IS NULL)"
        )
        self.db.execute(
            "INSERT OR REPLACE INTO decisions SELECT path, field, after, after_reason, after_evidence, ? "
            "FROM temp.differing WHERE after IS NOT NULL",
            (run,),
        )
        (changed,) = self.db.execute("SELECT count(*) FROM temp.differing").fetchone()
        return int(changed)

    # --- runs

    def begin_run(
        self,
        stage: str,
        options: Mapping[str, Any],
        inputs: Mapping[str, str] | None = None,
        versions: Mapping[str, str] | None = None,
        files: Iterable[str] = (),
        origins: Mapping[str, str] | None = None,
    ) -> int:
        """Open a run: it is unfinished until `finish_run`. `files` are patterns of the files in the set that it makes."""
        cursor = self.db.execute(
            "INSERT INTO runs (stage, options, inputs, versions, files, origins, counts, started, finished) "
            "VALUES (?,?,?,?,?,?,'{}',?,'')",
            (
                stage,
                _dump(dict(options)),
                _dump(dict(inputs or {})),
                _dump(dict(versions or {})),
                _dump(list(files)),
                _dump(dict(origins or {})),
                _now(),
            ),
        )
        assert cursor.lastrowid is not None
        return cursor.lastrowid

    def finish_run(self, run: int, counts: Mapping[str, int]) -> None:
        self.db.execute("UPDATE runs SET counts=?, finished=? WHERE id=?", (_dump(dict(counts)), _now(), run))

    def did_something(self, run: int) -> bool:
        """Whether a run changed rows, images or files."""
        tables = ("history", "image_history", "file_history")
        return any(self.db.execute(f"SELECT 1 FROM {table} WHERE run=? LIMIT 1", (run,)).fetchone() for table in tables)

    def drop_run(self, run: int) -> None:
        """Take out a run that did nothing."""
        self.db.execute("DELETE FROM runs WHERE id=?", (run,))

    def patterns(self, run: int) -> tuple[str, ...] | None:
        """Patterns of the files that a run makes, None when what it made has been noted."""
        (text,) = self.db.execute("SELECT files FROM runs WHERE id=?", (run,)).fetchone()
        return None if text is None else tuple(json.loads(text))

    def forget_patterns(self, run: int) -> None:
        self.db.execute("UPDATE runs SET files=NULL WHERE id=?", (run,))

    def runs(self) -> tuple[Run, ...]:
        """Every run, undone ones too, the oldest first."""
        rows = self.db.execute(f"SELECT {_columns(Run)} FROM runs ORDER BY id")
        return tuple(_run(*row) for row in rows)

    def last_run(self, stage: str, name: str | None = None) -> Run | None:
        """The newest run of a stage that was not undone, finished or not; with a name, of those with that option `name`."""
        query = f"""SELECT {_columns(Run)} FROM runs WHERE stage=? AND undone IS NULL
            AND (? IS NULL OR json_extract(options, '$.name')=?) ORDER BY id DESC LIMIT 1"""
        row = self.db.execute(query, (stage, name, name)).fetchone()
        return _run(*row) if row else None

    def changed_by(self, name: str, since: int) -> Run | None:
        """The newest run after `since` that changed what `digest` calls by this name, undoing counted too."""
        queries = {"images": "SELECT max(run) FROM image_history WHERE run>?", "scores": "SELECT NULL WHERE ? IS NULL"}
        query = queries.get(name, "SELECT max(run) FROM history WHERE run>? AND field=?")
        (number,) = self.db.execute(query, (since,) if name in queries else (since, name)).fetchone() or (None,)
        row = self.db.execute(f"SELECT {_columns(Run)} FROM runs WHERE id=?", (number,)).fetchone()
        return _run(*row) if row else None

    # --- captions

    def human(self) -> dict[str, str]:
        """Path → the caption that a person wrote, as its file holds it; not those that cannot be read."""
        rows = self.db.execute("SELECT path, value FROM decisions WHERE field='human' AND value<>'null' ORDER BY path")
        return {path: json.loads(value) for path, value in rows}

    def written(self) -> dict[str, str]:
        """Path → what its caption file held when prep last wrote or read it."""
        return dict(self.db.execute("SELECT path, text FROM captions"))

    # --- freshness

    def digest(self, name: str) -> str:
        """A hash of what a stage reads: `images`, `scores`, or a decision field."""
        queries = {
            "images": "SELECT path, concept, content FROM images ORDER BY path",
            "scores": "SELECT s.content, s.tagger, iif(t.revision=?, s.scores, '') FROM scores s "
            "JOIN taggers t ON t.id=s.tagger ORDER BY s.content, s.tagger",
        }
        if name in queries:
            rows = self.db.execute(queries[name], (SIDECAR,) if name == "scores" else ())
        else:
            rows = self.db.execute("SELECT path, value FROM decisions WHERE field=? ORDER BY path", (name,))
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


def _values(record: type) -> Callable[[Any], tuple[Any, ...]]:
    """A record as a row; attrgetter, as dataclasses.astuple copies what it holds."""
    return operator.attrgetter(*(item.name for item in fields(record)))


def _decision(path: str, field: str, value: str, reason: str, evidence: str) -> Decision:
    return Decision(path, field, json.loads(value), reason, evidence)


def _if_any(path: str, field: str, value: str | None, reason: str, evidence: str) -> Decision | None:
    return None if value is None else _decision(path, field, value, reason, evidence)


def _run(number: int, stage: str, *rest: Any) -> Run:
    options, inputs, versions, counts = (json.loads(text) for text in rest[:4])
    started, finished, undone, origins = rest[4:]
    return Run(
        number,
        stage,
        options,
        inputs,
        versions,
        counts,
        started,
        finished,
        undone,
        json.loads(origins),
    )


def _dump(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False)


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="milliseconds")


def _connect(file: Path | str) -> sqlite3.Connection:
    connection = sqlite3.connect(file, isolation_level=None, timeout=10)
    try:
        connection.execute("PRAGMA journal_mode=WAL")
        connection.execute("PRAGMA synchronous=NORMAL")
        connection.executescript(SCHEMA.format(measurements=_declared(Measurement), images=_columns(Image)))
        (version,) = connection.execute("PRAGMA user_version").fetchone()
        if version not in (0, VERSION):
            hint = (
                "update prep" if version > VERSION else "an older prep made it: flatten the same folders into a new set"
            )
            raise PrepError(f"{file} has format {version}, this prep reads {VERSION}", hint)
        connection.execute(f"PRAGMA user_version={VERSION}")
    except (sqlite3.OperationalError, PrepError):
        connection.close()
        raise
    except sqlite3.DatabaseError as error:
        connection.close()
        raise PrepError(f"{file} is not a manifest: {error}", f"move {file} away and flatten again") from error
    return connection
