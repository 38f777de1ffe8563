"""The tables of taggers and of the scores that each gave."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import fields

from pipeline.store.records import Tagger
from pipeline.store.tables.rows import columns, dump


class ScoreTable:
    """Tag probabilities by content and tagger id, and the taggers they came from."""

    def __init__(self, db: sqlite3.Connection) -> None:
        self._db = db

    def taggers(self) -> dict[str, Tagger]:
        rows = self._db.execute(f"SELECT id, {columns(Tagger)} FROM taggers ORDER BY rowid")
        found = {}
        for key, name, revision, preprocessing, provider, *tables, sha256 in rows:
            categories, by_category, by_tag = (json.loads(table) for table in tables)
            found[key] = Tagger(name, revision, preprocessing, provider, categories, by_category, by_tag, sha256)
        return found

    def put_tagger(self, tagger: Tagger) -> None:
        texts = tagger.name, tagger.revision, tagger.preprocessing, tagger.provider
        tables = (dump(dict(table)) for table in (tagger.categories, tagger.thresholds, tagger.tag_thresholds))
        places = ",".join("?" * (1 + len(fields(Tagger))))
        self._db.execute(
            f"INSERT OR REPLACE INTO taggers (id, {columns(Tagger)}) VALUES ({places})",
            (tagger.id, *texts, *tables, tagger.sha256),
        )

    def of_tagger(self, tagger: str) -> dict[str, dict[str, float]]:
        rows = self._db.execute("SELECT content, scores FROM scores WHERE tagger=?", (tagger,))
        return {content: json.loads(scores) for content, scores in rows}

    def scored(self, tagger: str) -> set[str]:
        return {content for (content,) in self._db.execute("SELECT content FROM scores WHERE tagger=?", (tagger,))}

    def of_contents(
        self, contents: Sequence[str], taggers: Sequence[str] | None
    ) -> Iterator[tuple[str, str, dict[str, float]]]:
        """(content, tagger id, {tag: probability}) of these contents, by these taggers or by all; a few hundred contents
        at a time, as SQLite takes so many parameters."""
        of_taggers = "" if taggers is None else f" AND tagger IN ({','.join('?' * len(taggers))})"
        rows = self._db.execute(
            f"SELECT content, tagger, scores FROM scores WHERE content IN ({','.join('?' * len(contents))}){of_taggers}",
            (*contents, *(taggers or ())),
        ).fetchall()
        found = json.loads(f"[{','.join(scores for _, _, scores in rows)}]")  # as one text, equal tags are one string
        return ((content, tagger, scores) for (content, tagger, _), scores in zip(rows, found, strict=True))

    def put(self, tagger: str, found: Mapping[str, Mapping[str, float]]) -> None:
        self._db.executemany(
            "INSERT OR REPLACE INTO scores VALUES (?,?,?)",
            [(content, tagger, dump(dict(scores))) for content, scores in found.items()],
        )
