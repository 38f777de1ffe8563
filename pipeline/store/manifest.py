"""manifest.db: the one contract between stages, and the one input of the trainer.

Fields of decisions and their values (JSON; their types are in `pipeline.store.values`):

| field      | stage      | value                                                                                 |
|------------|------------|---------------------------------------------------------------------------------------|
| imported   | flatten    | path in the set, or null for a source file that was left out (its key is the source)   |
| user_repeats | flatten  | how often the person's folders say an image is to be shown: 24.0                      |
| manual_caption | edits      | the caption that a person wrote, as its file holds it                                  |
| keep       | check      | true or false                                                                         |
| manual_keep | review    | true or false: what a person decided about this image, which check keeps to            |
| manual_anchor | review  | what the crop of this image holds on to, as the option anchors of bucket has it        |
| manual_repeats | review | how often a person wants this image shown an epoch: 2.5                                |
| settled    | review     | [[kind, key], …]: proposals about the image, or the set ("."), that a person answered   |
| bucket     | bucket     | {"size": [w, h], "scaled": [w, h], "crop": [left, top, right, bottom], "loss": 0..1,   |
|            |            | "anchor": what moved the crop, "background": "#rrggbb" for transparent images}       |
| tagger     | tag        | [id, …] of the taggers whose scores are meant, for the whole set (path ".")            |
| tags       | curate     | [[tag, action, reason, data], …]: every tag considered (`TagDecision`)                |
| manual_edits | tags       | [["add", tag], ["remove", tag], ["replace", old, new], …]: edits that curation keeps   |
| caption    | curate     | the caption's text                                                                    |
| flags      | curate     | ["watermark", …]: what is wrong with the image and not said in its caption           |
| contradictions | curate | [{"attribute", "dominant", "rival", "fix", "fixed", …}, …] (`Contradiction`)          |
| truncated_tags | train      | [tag, …]: tags of the caption that the text encoder does not see                      |
| repeats    | balance    | {"exact": 1.25, "exported": 1}                                                        |
| regularization | regularize | {"path": …, "caption": …, "size": [w, h], "seed": …} of the matched image; "more":   |
|            |            | […], what further ones have otherwise; given ones have "matched": false and a "bucket" |
"""

from __future__ import annotations

import contextlib
import sqlite3
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from pipeline.core.errors import PrepError
from pipeline.store import database
from pipeline.store.failures import CannotUse, of_the_machine
from pipeline.store.history.history_rows import HistoryTables
from pipeline.store.records import Decision, Image, Measurement, Run, Tagger
from pipeline.store.tables import digests
from pipeline.store.tables.caption_rows import CaptionTable
from pipeline.store.tables.decisions import Changes, DecisionTable, Row
from pipeline.store.tables.images import FileTable, ImageTable
from pipeline.store.tables.measurements import MeasurementTable
from pipeline.store.tables.rows import columns_of
from pipeline.store.tables.runs import RunTable
from pipeline.store.tables.schema import FILE
from pipeline.store.tables.scores import ScoreTable
from pipeline.store.unsound_rows import FAILURES, unsound


class Manifest:
    """The open record of a set. Reading methods never write; writing methods belong inside `transaction()`.

    `history` and `caption_rows` are for the store's own modules, which undo runs and look after caption files.
    """

    def __init__(self, root: Path, connection: sqlite3.Connection) -> None:
        self.root = root
        self._db = connection
        self._images, self._files = ImageTable(connection), FileTable(connection)
        self._measurements, self._scores = MeasurementTable(connection), ScoreTable(connection)
        self._decisions, self._runs = DecisionTable(connection), RunTable(connection)
        self.caption_rows, self.history = CaptionTable(connection), HistoryTables(connection)

    @classmethod
    def open(cls, root: Path, create: bool = False) -> Self:
        """Open SET/manifest.db, brought forward if an older prep made it; with `create`, make the set where there is none.

        Raises:
            PrepError: there is no set, it is no database or another program's, or a newer version wrote it.
        """
        file = root / FILE
        if not file.exists() and not create:
            raise PrepError(f"no set at {root}: it has no {FILE}", f"make one with: prep flatten FOLDER {root}")
        if root.exists() and not root.is_dir():
            raise PrepError(f"{root} is a file, a set is a folder", "name a folder that is empty or not there yet")
        root.mkdir(parents=True, exist_ok=True)
        return cls(root, database.connect(file))

    @classmethod
    def preview(cls, root: Path) -> Self:
        """The record of a set as far as there is one: nothing on disk is made for a set that is not there yet."""
        return cls.open(root) if (root / FILE).exists() else cls(root, database.in_memory())

    def close(self) -> None:
        self._db.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close; where the block failed with what only a row could cause that prep never wrote, name that row.

        Raises:
            PrepError: there is such a row.
        """
        wrong = None
        if isinstance(value, FAILURES) and not (isinstance(value, CannotUse) and of_the_machine(value)):
            wrong = unsound(self._db, self.root)
        self.close()
        if wrong is not None:
            raise wrong from value

    def data_version(self) -> int:
        """A number that is another one when another connection changed the record since the last time; its own changes do not
        count."""
        (number,) = self._db.execute("PRAGMA data_version").fetchone()
        return int(number)

    def transaction(self) -> contextlib.AbstractContextManager[None]:
        """All of the block's writes, or none."""
        return database.transaction(self._db)

    # --- images and files

    def images(self) -> tuple[Image, ...]:
        """Every image of the set, kept or not, in order of path."""
        return self._images.every()

    def former_images(self) -> set[str]:
        """Paths of images that the set had and has no more."""
        return self._images.former()

    def paths(self) -> Iterator[str]:
        """The path of every image of the set, in order; nothing else of it is read."""
        return self._images.paths()

    def kept(self) -> tuple[Image, ...]:
        """The images that `check` kept (all of them before it ever ran), in order of path."""
        return self._images.kept()

    def without(self, field: str) -> list[str]:
        """Kept images that have no decision of a field, in order of path."""
        return self._images.without(field)

    def put_images(self, images: Iterable[Image], run: int = 0) -> None:
        """Replace the table of images; what changes is noted under the run."""
        self._images.replace(images, run)

    def restore_images(self, run: int, by: int) -> int:
        """Put back the rows of images that a run changed, noted under the run that undoes it; returns how many."""
        return self._images.restore(run, by)

    def known_files(self) -> dict[str, tuple[int, int, str]]:
        """File → (bytes, modification time in ns, content), so that an unchanged file is hashed once."""
        return self._files.every()

    def put_files(self, rows: Iterable[tuple[str, int, int, str]]) -> None:
        """Remember (file, bytes, modified, content) rows."""
        self._files.put(rows)

    def remember_files(self, rows: Iterable[tuple[str, int, int, str]]) -> None:
        """The same in a transaction of its own; nothing where the record cannot be written to, as files are read again
        then."""
        with contextlib.suppress(CannotUse), self.transaction():
            self._files.put(rows)

    # --- what is known of contents

    def measurements(self, contents: Collection[str] | None = None) -> dict[str, Measurement]:
        """Content → measurement, of all contents or of these."""
        return self._measurements.every(contents)

    def measured(self, *columns: str) -> dict[str, tuple[Any, ...]]:
        """Content → these columns of its measurement; far quicker than whole records where a set is large."""
        return self._measurements.columns(*columns)

    def put_measurements(self, found: Iterable[Measurement]) -> None:
        self._measurements.put(found)

    def taggers(self) -> dict[str, Tagger]:
        """Tagger id → the tagger, the one put last at the end."""
        return self._scores.taggers()

    def put_tagger(self, tagger: Tagger) -> None:
        self._scores.put_tagger(tagger)

    def scores(self, tagger: str) -> dict[str, dict[str, float]]:
        """Content → {tag: probability} for one tagger id; only probabilities of 0.01 and more are stored."""
        return self._scores.of_tagger(tagger)

    def scored(self, tagger: str) -> set[str]:
        """The contents that have scores of a tagger."""
        return self._scores.scored(tagger)

    def scores_of(
        self, contents: Iterable[str], taggers: Sequence[str] | None = None
    ) -> Iterator[tuple[str, str, dict[str, float]]]:
        """(content, tagger id, {tag: probability}) for a few hundred contents at most, by these taggers or by all."""
        return self._scores.of_contents(tuple(contents), taggers)

    def put_scores(self, tagger: str, found: Mapping[str, Mapping[str, float]]) -> None:
        self._scores.put(tagger, found)

    # --- decisions

    def decisions(self, field: str) -> dict[str, Decision]:
        """Path → the decision that holds now for one field."""
        return self._decisions.of_field(field)

    def decisions_of(self, path: str, fields: Sequence[str] | None = None) -> tuple[Decision, ...]:
        """What is decided about one path, in order of field; with `fields`, only those."""
        return self._decisions.of_path(path, fields)

    def all_decisions(self) -> Iterator[tuple[int, Decision]]:
        """Every decision that holds now with the run that made it, in order of path and field."""
        return self._decisions.every()

    def values(self, field: str, among: Collection[str] | None = None) -> Iterator[tuple[str, Any]]:
        """(path, value) of a field, in order of path: without reasons, which take as long to read again. With paths, only
        theirs."""
        return self._decisions.values(field, among)

    def trigger_words(self) -> dict[str, tuple[str, ...]]:
        """Image → the trigger words that curation put in front; those without any are not among them."""
        return self._decisions.trigger_words()

    def paths_where(self, field: str, value: Any) -> set[str]:
        """The paths for which a field is decided to be this value."""
        return self._decisions.paths_where(field, value)

    def changes(self, fields: Iterable[str], decisions: Iterable[Decision]) -> Changes:
        """(path, field) → (what holds now, what would hold) where the two differ, in order of path."""
        return self._decisions.changes(fields, decisions)

    def put_decisions(self, run: int, fields: Iterable[str], decisions: Iterable[Decision]) -> int:
        """Make these the only decisions for these fields, note every change in `history`, return how many changed."""
        return self._decisions.replace(run, fields, decisions)

    def put_rows(self, run: int, rows: Iterable[Decision], gone: Iterable[tuple[str, str]] = ()) -> int:
        """Change single decisions: put these, drop those of (path, field) in `gone`; noted like any other change."""
        planned: list[Row] = [columns_of(row) for row in rows]
        return self._decisions.put(run, planned + [(path, field, None, None, None) for path, field in gone])

    def put_back(self, run: int, rows: Iterable[Row]) -> int:
        """Change single decisions: (path, field, value as JSON or None for no decision, reason, evidence)."""
        return self._decisions.put(run, rows)

    # --- captions

    def manual_captions(self) -> dict[str, str]:
        """Path → the caption that a person wrote, as its file holds it; not those that cannot be read."""
        return self._decisions.manual_captions()

    def written(self) -> dict[str, str]:
        """Path → what its caption file held when prep last wrote or read it."""
        return self.caption_rows.texts()

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
        return self._runs.begin(stage, options, inputs or {}, versions or {}, files, origins or {})

    def finish_run(self, run: int, counts: Mapping[str, int]) -> None:
        self._runs.finish(run, counts)

    def did_something(self, run: int) -> bool:
        """Whether a run changed decisions, images or files."""
        return self._runs.did_something(run)

    def drop_run(self, run: int) -> None:
        """Take out a run that did nothing."""
        self._runs.drop(run)

    def patterns(self, run: int) -> tuple[str, ...] | None:
        """Patterns of the files that a run makes, None when what it made has been noted."""
        return self._runs.patterns(run)

    def forget_patterns(self, run: int) -> None:
        self._runs.forget_patterns(run)

    def mark_undone(self, run: int, by: int) -> None:
        self._runs.mark_undone(run, by)

    def bring_back(self, undone_by: int) -> None:
        """What that run undid holds again."""
        self._runs.bring_back(undone_by)

    def runs(self) -> tuple[Run, ...]:
        """Every run, undone ones too, the oldest first."""
        return self._runs.every()

    def last_run(self, stage: str, name: str | None = None) -> Run | None:
        """The newest run of a stage that was not undone, finished or not; with a name, of those with that option `name`."""
        return self._runs.last(stage, name)

    def changed_by(self, name: str, since: int) -> Run | None:
        """The newest run after `since` that changed what `digest` calls by this name, undoing counted too."""
        return self._runs.changed_by(name, since)

    def digest(self, name: str) -> str:
        """A hash of what a stage reads: `images`, `scores`, or a decision field."""
        return digests.digest(self._db, name)
