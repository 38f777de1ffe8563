"""What `python -m tests.proof.vocabulary` counts, on tables of a few lines; and floors under what it says of our own."""

from __future__ import annotations

from pathlib import Path

import pytest

from pipeline.tags.danbooru import tables
from pipeline.tags.vocabulary.head_nouns import is_kind_of
from pipeline.tags.vocabulary.implications import danbooru

from .vocabulary import Board, judged, measure, table

IMPLICATIONS = "tag,implies\nwitch_hat,hat\nsun_hat,hat\nkatana,sword\nsword,weapon\nkatana,unheard_of\n"
ALIASES = "alias,tag\nlabcoat,lab_coat\nx_x_x,hat\n"
TAGS = (
    "tag,posts\nwitch_hat,60\nsun_hat,40\nhat,500\nkatana,100\nsword,50\nweapon,900\nlab_coat,10\nnose_ring,7\nring,9\n"
)


@pytest.fixture
def board(tmp_path: Path) -> Board:
    files = {"implications": IMPLICATIONS, "aliases": ALIASES, "tags": TAGS}
    for name, text in files.items():
        (tmp_path / f"{name}.csv").write_text(text, encoding="utf-8")
    return Board(*(tmp_path / f"{name}.csv" for name in files))


def test_figures_are_those_worked_by_hand(board: Board) -> None:
    assert board.pairs == {
        ("witch hat", "hat"),
        ("sun hat", "hat"),
        ("katana", "sword"),
        ("katana", "weapon"),
        ("sword", "weapon"),
    }
    said = {each.name: each for each in measure(board)}
    lost = said["implications lost from a caption that holds all of them, one person"]
    assert (lost.part, lost.whole, lost.by_posts) == (5, 5, 1.0)
    alone = said["of them by spelling and our own table alone"]
    assert (alone.part, alone.by_posts) == (2, pytest.approx((60 + 40) / (60 + 40 + 100 + 100 + 50)))
    assert said["of them with two or more people"].part == 0
    assert said["pairs that only spelling and our own table drop, wrong by meaning"].whole == 0, (
        "a nose ring is no ring"
    )
    names = said["other names brought to their tag"]
    assert (names.part, names.whole) == (1, 2)
    assert table([names]).splitlines()[-1] == "| other names brought to their tag | 1 of 2 | 50.0% |  |"


def test_nothing_is_taken_that_was_judged_wrong() -> None:
    known = danbooru()
    assert len(judged("wrong")) > 300 and len(judged("right")) > 1000
    assert [pair for pair in sorted(judged("wrong")) if known.implies(*pair)] == []
    assert not judged("wrong") & judged("right")


def test_every_pair_that_spelling_takes_was_judged() -> None:
    known, right = danbooru(), judged("right")
    tags = tables.tags()
    stated = {tag: _closed(tag) for tag in tags}
    taken = {(tag, parent) for tag in tags for parent in known.above(tag).keys() & tags - stated[tag]}
    assert taken - right == set()


def _closed(tag: str) -> set[str]:
    found = set(tables.implications().get(tag, ()))
    return found.union(*map(_closed, found))


@pytest.mark.parametrize(
    ("child", "parent"),
    [
        ("denim", "pants"),
        ("hat on back", "on back"),
        ("sex from behind", "from behind"),
        ("hair over shoulder", "over shoulder"),
        ("sailor collar", "collar"),
        ("nose ring", "ring"),
        ("track suit", "suit"),
        ("arched back", "back"),
        ("wrist cuffs", "cuffs"),
        ("hime cut", "cuts"),
        ("speech bubble", "bubble"),
        ("parted lips", "lips"),
        ("garter belt", "belt"),
        ("pelvic curtain", "curtains"),
        ("ear covers", "cover"),
        ("outside border", "border"),
        ("cum pool", "pool"),
        ("finger gun", "gun"),
        ("character profile", "profile"),
        ("girl sandwich", "sandwich"),
        ("bridal gauntlets", "gauntlets"),
        ("anger vein", "veins"),
        ("shoe soles", "soles"),
        ("after kiss", "kiss"),
        ("implied sex", "sex"),
        ("spoken blush", "blush"),
        ("brother and sister", "sisters"),
        ("hair bow", "hair ornament"),
        ("red sports bra", "bra"),
    ],
)
def test_spelling_leaves_alone_what_is_called_alike(child: str, parent: str) -> None:
    assert not danbooru().implies(child, parent) and not is_kind_of(child, parent)
