"""Tables of boards as files, and our own made of them."""

from __future__ import annotations

import gzip
from pathlib import Path

import pytest
from click.testing import CliRunner

from pipeline.core.errors import PrepError
from pipeline.tags.danbooru import tables
from pipeline.tags.danbooru.board_csv import read_implications
from pipeline.tags.danbooru.build import main

E621 = (
    "id,antecedent_name,consequent_name,created_at,status\n"
    "1,red_fox,fox,2020-01-01,active\n2,fox,canine,2020-01-01,active\n3,fox,cat,2020-01-01,deleted\n4,fox,wolf,2020,pending\n"
)


def put(folder: Path, name: str, content: str | bytes) -> Path:
    file = folder / name
    file.write_bytes(content.encode() if isinstance(content, str) else content)
    return file


def test_a_boards_dump_is_read_packed_or_not_without_what_is_retired(tmp_path: Path) -> None:
    wanted = {"red fox": ("fox",), "fox": ("canine",)}
    assert read_implications(put(tmp_path, "e621.csv", E621)) == wanted
    assert read_implications(put(tmp_path, "e621.csv.gz", gzip.compress(E621.encode()))) == wanted


@pytest.mark.parametrize(
    ("content", "message", "hint"),
    [
        ("a,b\n1,2\n", "has the columns a, b", "the columns tag, implies or antecedent_name, consequent_name"),
        ("", "has the columns of an empty file", "columns tag, implies"),
        ("tag,implies\n", "holds no active implication", "name a board's table of implications"),
        ("tag,implies\nhat\n", "holds no active implication", "name a board's table"),
        (b"tag,implies\n\xff,x\n", "is not UTF-8", "save it as UTF-8"),
        (gzip.compress(b"tag,implies\n" * 99, mtime=0)[:-9], "cannot be read", "which may be packed by gzip"),
    ],
    ids=["other columns", "empty", "no line", "a line cut short", "no UTF-8", "cut short"],
)
def test_a_file_that_is_no_such_table_is_refused(tmp_path: Path, content: str | bytes, message: str, hint: str) -> None:
    with pytest.raises(PrepError, match=message) as refused:
        read_implications(put(tmp_path, "board.csv", content))
    assert hint in refused.value.hint


def test_a_file_that_is_not_there_is_refused(tmp_path: Path) -> None:
    with pytest.raises(PrepError, match=r"none\.csv cannot be read: No such file"):
        read_implications(tmp_path / "none.csv")


def test_the_tables_are_made_of_what_taggers_know(tmp_path: Path) -> None:
    files = {
        "implications": "tag,implies\nwitch_hat,hat\nodd_hat,hat\n>:),smile\n",
        "aliases": "alias,tag\nsorcerer_hat,witch_hat\nhat,witch_hat\nx,unknown\n",
        "tags": "tag,posts\nwitch_hat,9\nhat,9\n>:),9\nsmile,9\n",
    }
    arguments = [part for name, text in files.items() for part in (f"--{name}", str(put(tmp_path, name, text)))]
    done = CliRunner().invoke(main, [*arguments, "--source", "May 2030", "--to", str(tmp_path)])
    assert done.exit_code == 0, done.output
    assert (tmp_path / tables.IMPLICATIONS).read_text(encoding="utf-8") == (
        "# Danbooru, May 2030: tag < tags that imply it\nhat < witch hat\nsmile < >:)\n"
    )
    assert (tmp_path / tables.ALIASES).read_text(encoding="utf-8").splitlines()[1:] == ["witch hat < sorcerer hat"]
    assert (tmp_path / tables.TAGS).read_text(encoding="utf-8").splitlines()[1:] == [">:)", "hat", "smile", "witch hat"]
    assert list(tables.read((tmp_path / tables.IMPLICATIONS).read_text(encoding="utf-8"))) == [
        ("hat", ("witch hat",)),
        ("smile", (">:)",)),
    ]


def test_the_packages_own_tables_name_their_board_and_agree_with_each_other() -> None:
    assert len(tables.tags()) == 8106
    named = {*tables.implications(), *(parent for parents in tables.implications().values() for parent in parents)}
    assert named <= tables.tags() and set(tables.aliases().values()) <= tables.tags()
    assert not tables.aliases().keys() & tables.tags()
