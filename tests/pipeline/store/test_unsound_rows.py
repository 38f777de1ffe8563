"""Rows of manifest.db that a person edited into nonsense: the row is named with the way out, and nothing is a traceback."""

import contextlib
import io
import sqlite3
from pathlib import Path

import pytest
from recorded_sets import recorded_set

from pipeline.cli.main import prep
from pipeline.store.manifest import Manifest
from pipeline.store.reasons.check import CheckReason
from pipeline.store.records import Decision

IMAGE = "images/Lumi/0.png"
COMMANDS = (
    ("status",),
    ("log",),
    ("train", "--dry-run", "--base", "miniature"),
    ("tags", "list"),
    ("report",),
    ("bucket", "--force"),
    ("balance", "--force"),
    ("undo",),
)
EDITS = {
    "no JSON": ("UPDATE decisions SET value='{bad' WHERE field='bucket'", "decisions", "prep bucket"),
    "another type": ("UPDATE decisions SET value='[1, 2]' WHERE field='bucket'", "decisions", "prep bucket"),
    "negative sizes": (
        """UPDATE decisions SET value=json_set(value, '$.size', json('[-8, 8]')) WHERE field='bucket'""",
        "decisions",
        "prep bucket",
    ),
    "a crop beyond the image": (
        """UPDATE decisions SET value=json_set(value, '$.crop', json('[0, 0, 9999, 9999]')) WHERE field='bucket'""",
        "decisions",
        "prep bucket",
    ),
    "negative repeats": (
        """UPDATE decisions SET value='{"exact": -3, "exported": 1}' WHERE field='repeats'""",
        "decisions",
        "prep balance",
    ),
    "endless repeats": (
        """UPDATE decisions SET value='{"exact": 1e999, "exported": 1}' WHERE field='repeats'""",
        "decisions",
        "prep balance",
    ),
    "neither kept nor not": ("UPDATE decisions SET value='1' WHERE field='keep'", "decisions", "prep check"),
    "a caption that is a number": ("UPDATE decisions SET value='7' WHERE field='caption'", "decisions", "prep curate"),
    "bytes": ("UPDATE decisions SET value=x'00ff' WHERE field='caption'", "decisions", "prep curate"),
    "an unknown reason": ("UPDATE decisions SET reason='frob' WHERE field='keep'", "decisions", "prep check"),
    "a path that leads out": (f"UPDATE images SET path='../../x.png' WHERE path='{IMAGE}'", "images", "prep flatten"),
    "options of a run": ("UPDATE runs SET options='{'", "runs", "prep log"),
    "the time of a run": ("UPDATE runs SET started=NULL", "runs", "prep log"),
}


@pytest.fixture
def root(tmp_path: Path) -> Path:
    rows = [(f"images/Lumi/{number}.png", "Lumi", (64, 64), "Lumi, 1girl, solo", 1.0) for number in range(3)]
    with recorded_set(tmp_path / "set", rows) as manifest:
        with manifest.transaction():
            run = manifest.begin_run("check", {})
            manifest.put_rows(run, [Decision(path, "keep", True, CheckReason.GOOD) for path, *_ in rows])
            manifest.finish_run(run, {})
        return manifest.root


def said_by(root: Path, command: tuple[str, ...]) -> tuple[int, str]:
    """Exit status and standard error of a command on the set."""
    words = io.StringIO()
    first, *more = command
    name = [first, *more[:1]] if first == "tags" else [first]
    rest = more[1:] if first == "tags" else more
    with (
        contextlib.redirect_stderr(words),
        contextlib.redirect_stdout(io.StringIO()),
        pytest.raises(SystemExit) as ended,
    ):
        prep.main([*name, str(root), *rest])
    return int(ended.value.code or 0), " ".join(words.getvalue().split())


@pytest.mark.parametrize("edit", EDITS)
def test_a_row_edited_into_nonsense_is_named_with_the_way_out(root, edit):
    sql, table, command = EDITS[edit]
    with contextlib.closing(sqlite3.connect(root / "manifest.db")) as database, database:
        assert database.execute(sql).rowcount
    found = [said_by(root, each) for each in COMMANDS]
    named = [
        words
        for code, words in found
        if code == 1 and f"manifest.db was changed by hand: in the row of {table}" in words
    ]
    assert named and all(f"DELETE FROM {table} WHERE" in words and command in words for words in named)


def test_what_is_told_to_type_mends_the_set(root):
    with contextlib.closing(sqlite3.connect(root / "manifest.db")) as database, database:
        database.execute("UPDATE decisions SET value='{\"exact\": -3}' WHERE field='repeats' AND path=?", (IMAGE,))
    code, words = said_by(root, ("train", "--dry-run", "--base", "miniature"))
    assert code == 1
    statement = words.partition("with SQLite: ")[2].partition("; then")[0]
    with contextlib.closing(sqlite3.connect(root / "manifest.db")) as database, database:
        assert database.execute(statement).rowcount == 1
    assert said_by(root, ("balance", "--force"))[0] == 0
    assert said_by(root, ("train", "--dry-run", "--base", "miniature"))[0] == 0


def test_a_record_that_lost_a_table_is_called_damaged(root):
    with contextlib.closing(sqlite3.connect(root / "manifest.db")) as database, database:
        database.execute("DROP TABLE measurements")
    code, words = said_by(root, ("bucket", "--force"))
    assert code == 1 and "manifest.db is damaged: no such table: measurements" in words and "put back a copy" in words


def test_a_sound_record_is_not_blamed_for_another_failure(root):
    with pytest.raises(ValueError, match="something else"), Manifest.open(root):
        raise ValueError("something else")
