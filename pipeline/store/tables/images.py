"""The tables of images and of files whose hash is known."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterable, Iterator

from pipeline.store.records import Image
from pipeline.store.tables.rows import columns, values

KEPT = "(k.value IS NULL OR k.value='true')"
"""Of the decision `k` of field keep: an image is kept that was never judged."""


ELSEWHERE = "(path NOT GLOB 'images/*' OR path GLOB '*/../*' OR path GLOB '*/..')"
"""Of a path that is none of the set's images."""


def _as_json(table: str) -> str:
    return f"json_array({columns(Image, table)})"


_DIFFERENT = f"""
    SELECT ?, i.path, {_as_json("i")}, iif(p.path IS NULL, NULL, {_as_json("p")})
    FROM images i LEFT JOIN temp.planned_images p ON p.path=i.path
    WHERE p.path IS NULL OR {_as_json("i")} <> {_as_json("p")}
    UNION ALL
    SELECT ?, p.path, NULL, {_as_json("p")}
    FROM temp.planned_images p WHERE NOT EXISTS (SELECT 1 FROM images i WHERE i.path=p.path)"""


class ImageTable:
    """The images of the set; every change of a row is noted in `image_history`."""

    def __init__(self, db: sqlite3.Connection) -> None:
        self._db = db

    def every(self) -> tuple[Image, ...]:
        """All of them.

        Raises:
            ValueError: one lies elsewhere, where no command may write.
        """
        odd = self._db.execute(f"SELECT path FROM images WHERE {ELSEWHERE} LIMIT 1").fetchone()
        if odd is not None:
            raise ValueError(f"{odd[0]} is no path of an image in the set")
        return tuple(Image(*row) for row in self._db.execute(f"SELECT {columns(Image)} FROM images ORDER BY path"))

    def paths(self) -> Iterator[str]:
        return (path for (path,) in self._db.execute("SELECT path FROM images ORDER BY path"))

    def former(self) -> set[str]:
        rows = self._db.execute(
            "SELECT DISTINCT path FROM image_history WHERE after IS NULL AND path NOT IN (SELECT path FROM images)"
        )
        return {path for (path,) in rows}

    def kept(self) -> tuple[Image, ...]:
        odd = self._db.execute(
            "SELECT path, value FROM decisions WHERE field='keep' AND value NOT IN ('true', 'false') LIMIT 1"
        ).fetchone()
        if odd is not None:  # it would be left out without a reason
            raise ValueError(f"keep of {odd[0]} is {odd[1]}")
        rows = self._db.execute(
            f"SELECT {columns(Image, 'i')} FROM images i LEFT JOIN decisions k ON k.path=i.path AND k.field='keep' "
            f"WHERE {KEPT} ORDER BY i.path"
        )
        return tuple(Image(*row) for row in rows)

    def without(self, field: str) -> list[str]:
        rows = self._db.execute(
            "SELECT i.path FROM images i LEFT JOIN decisions k ON k.path=i.path AND k.field='keep' "
            f"LEFT JOIN decisions d ON d.path=i.path AND d.field=? WHERE {KEPT} AND d.path IS NULL ORDER BY i.path",
            (field,),
        )
        return [path for (path,) in rows]

    def replace(self, images: Iterable[Image], run: int) -> None:
        """Make these the only images, and note under the run what that changes."""
        self._db.execute("DELETE FROM temp.planned_images")
        self._db.executemany("INSERT INTO temp.planned_images VALUES (?,?,?,?,?,?)", map(values(Image), images))
        self._db.execute(f"INSERT INTO image_history {_DIFFERENT}", (run, run))
        self._db.execute("DELETE FROM images")
        self._db.execute("INSERT INTO images SELECT * FROM temp.planned_images")

    def restore(self, run: int, by: int) -> int:
        """Put back the rows that a run changed, noted under the run that undoes it; returns how many there were."""
        rows = self._db.execute("SELECT path, before, after FROM image_history WHERE run=?", (run,)).fetchall()
        self._db.executemany("DELETE FROM images WHERE path=?", ((path,) for path, _, _ in rows))
        self._db.executemany(
            "INSERT INTO images VALUES (?,?,?,?,?,?)",
            (json.loads(before) for _, before, _ in rows if before is not None),
        )
        self._db.executemany(
            "INSERT INTO image_history VALUES (?,?,?,?)", ((by, path, after, before) for path, before, after in rows)
        )
        return len(rows)


class FileTable:
    """Files by their path, of the sources or of the set, with the hash they had at a size and time."""

    def __init__(self, db: sqlite3.Connection) -> None:
        self._db = db

    def every(self) -> dict[str, tuple[int, int, str]]:
        rows = self._db.execute("SELECT source, bytes, modified, content FROM files")
        return {source: (size, modified, content) for source, size, modified, content in rows}

    def put(self, rows: Iterable[tuple[str, int, int, str]]) -> None:
        self._db.executemany("INSERT OR REPLACE INTO files VALUES (?,?,?,?)", rows)
