"""A set on a disk that cannot be written to is looked at, and nothing is written."""

import os

import pytest
from click.testing import CliRunner
from painted_sets import painted, save

from pipeline.cli.main import prep
from pipeline.core.errors import PrepError
from pipeline.core.filenames import fits_pattern


@pytest.fixture
def ask(tmp_path, monkeypatch):
    """A set whose folder says that it cannot be written to, as root can write anywhere."""
    monkeypatch.chdir(tmp_path)
    for number in range(2):
        save(painted(number, 6), tmp_path / f"pics/Lumi/{number}.png")

    def run(*args):
        return CliRunner().invoke(prep, list(args), standalone_mode=False, catch_exceptions=False)

    for args in (("flatten", "pics", "s"), ("check", "s"), ("curate", "s", "--tagger", "none")):
        run(*args)
    access = os.access
    monkeypatch.setattr(os, "access", lambda path, mode: mode != os.W_OK and access(path, mode))
    return run


def contents(root):
    return {path: path.stat().st_mtime_ns for path in root.rglob("*") if path.is_file() and "-shm" not in path.name}


@pytest.mark.parametrize(
    "args",
    ["status s", "log s", "diff s", "tags list s", "tags coverage s", "tags rules s", "cache s", "balance s --dry-run"],
)
def test_all_looking_commands_work_and_write_nothing(ask, tmp_path, args):
    before = contents(tmp_path / "s")
    result = ask(*args.split())
    assert result.exit_code == 0 and contents(tmp_path / "s") == before


def test_an_edit_is_seen_there_and_forgotten(ask, tmp_path):
    (tmp_path / "s/images/Lumi/1.txt").write_text("Lumi, edited")
    assert "edited" in ask("tags", "list", "s").stdout
    before = contents(tmp_path / "s")
    ask("status", "s")
    assert contents(tmp_path / "s") == before


def test_an_older_set_there_is_refused_with_words(ask, tmp_path, monkeypatch):
    monkeypatch.setattr("pipeline.store.database.VERSION", 99)
    monkeypatch.setattr("pipeline.store.database.version_of", lambda file: 4)
    with pytest.raises(PrepError, match="lies where nothing can be written"):
        ask("log", "s")


@pytest.mark.parametrize(
    ("name", "pattern", "fits"),
    [
        ("images/[2024] Imgs/a.png", "images/[2024] Imgs/*", True),
        ("images/[2024] Imgs/a [1].png", "images/*/a [1].png", True),
        ("images/2/a.png", "images/[12]/*", True),
        ("images/3/a.png", "images/[12]/*", False),
        ("a[", "a[", True),
        ("a.png", "?.png", True),
    ],
)
def test_brackets_in_patterns_are_those_of_names_or_choices(name, pattern, fits):
    assert fits_pattern(name, pattern) is fits
