"""How much of what Danbooru knows of tags is known here, and how much is taken wrongly:

    python -m tests.proof.vocabulary IMPLICATIONS.csv ALIASES.csv TAGS.csv

The files are tables of the board: `tag, implies`; `alias, tag`; `tag, posts`. Figures by posts weigh every pair by the posts
of its exact tag. Whether spelling alone takes a pair wrongly was judged by eye, pair by pair: `tests/proof/judged`.
"""

from __future__ import annotations

import argparse
import csv
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from pipeline.tags.danbooru import tables
from pipeline.tags.danbooru.board_csv import NAMES, STANDS_FOR, read_implications, rows
from pipeline.tags.vocabulary.aliases import Vocabulary, canonical, folded, other_name
from pipeline.tags.vocabulary.composition import COLOURS, compose_garments
from pipeline.tags.vocabulary.implications import Implications, danbooru

JUDGED = Path(__file__).parent / "judged"
Pairs = Collection[tuple[str, str]]
"""(exact tag, general tag)"""


@dataclass(frozen=True, slots=True)
class Share:
    """Of `whole` things, `part`; and the same weighed by posts, 0 where nothing is to be weighed."""

    name: str
    part: int
    whole: int
    by_posts: float | None = None

    def row(self) -> str:
        share = f"{self.part / self.whole:.1%}" if self.whole else "none"
        posts = "" if self.by_posts is None else f"{self.by_posts:.1%}"
        return f"| {self.name} | {self.part} of {self.whole} | {share} | {posts} |"


class Board:
    """What the files say, in the spelling of captions. `posts` is tag → posts, `implied` tag → all that it implies, at any
    number of removes, `aliases` are (another name, tag)."""

    def __init__(self, implications: Path, aliases: Path, tags: Path) -> None:
        self.posts = _posts(tags)
        direct = read_implications(implications)
        self.implied = {tag: _closed(tag, direct) & self.posts.keys() for tag in self.posts}
        self.aliases = [(name, tag) for name, tag in rows(aliases, STANDS_FOR, "aliases") if tag in self.posts]

    @property
    def pairs(self) -> set[tuple[str, str]]:
        return {(tag, parent) for tag, parents in self.implied.items() for parent in parents}

    def share(self, name: str, part: Pairs, whole: Pairs) -> Share:
        weigh = sum(self.posts[tag] for tag, _ in whole)
        return Share(name, len(part), len(whole), sum(self.posts[tag] for tag, _ in part) / weigh if weigh else None)


def _posts(file: Path) -> dict[str, int]:
    known = {tag for (tag,) in rows(file, NAMES, "tags")}
    with file.open(encoding="utf-8-sig", newline="") as stream:
        found = {canonical(row.get("tag") or row.get("name") or ""): row for row in csv.DictReader(stream)}
    return {tag: int(float(found[tag].get("posts") or found[tag].get("count") or 0)) for tag in sorted(known)}


def _closed(tag: str, direct: Mapping[str, Iterable[str]]) -> set[str]:
    found: set[str] = set()
    waiting = [tag]
    for each in waiting:
        fresh = set(direct.get(each, ())) - found - {tag}
        found |= fresh
        waiting += sorted(fresh)
    return found


def judged(name: str) -> set[tuple[str, str]]:
    """The pairs that were judged `right`, or `wrong`."""
    text = (JUDGED / f"{name}.txt").read_text(encoding="utf-8")
    return {(child, parent) for parent, children in tables.read(text) for child in children}


def measure(board: Board) -> list[Share]:
    return [*_implications(board), *_names(board), *_composed(board)]


def _implications(board: Board) -> list[Share]:
    known, spelling = danbooru(), Implications({})
    every = board.pairs
    lost = {
        (tag, parent)
        for tag, implied in board.implied.items()
        for parent in known.needless({tag, *implied}, one_person=True).keys() & implied
    }
    crowd = {(tag, parent) for tag, parent in every if known.implies(tag, parent, one_person=False)}
    alone = {(tag, parent) for tag, parent in every if spelling.implies(tag, parent)}
    more = {(tag, parent) for tag in board.posts for parent in known.above(tag).keys() & board.posts.keys()} - every
    wrong, right = judged("wrong"), judged("right")
    return [
        board.share("implications lost from a caption that holds all of them, one person", lost, every),
        board.share("of them by spelling and our own table alone", alone, every),
        board.share("of them with two or more people", crowd, every),
        board.share("pairs that only spelling and our own table drop, wrong by meaning", more & wrong, more),
        board.share("of those pairs, not judged yet", more - wrong - right, more),
    ]


def _names(board: Board) -> list[Share]:
    apart = Vocabulary(dict.fromkeys(board.posts, "general"), [board.posts.keys()])
    found = [(name, tag) for name, tag in board.aliases if tag == other_name(name) or folded(tag) == folded(name)]
    merged = [tag for tag in board.posts if apart.usual(tag) != tag]
    return [
        Share("other names brought to their tag", len(found), len(board.aliases)),
        Share("labels of one tagger merged with another", len(merged), len(board.posts)),
    ]


def _composed(board: Board) -> list[Share]:
    coloured = [tag for tag in board.posts if tag.partition(" ")[0] in COLOURS]
    joined = [
        each for tint in coloured for thing in board.posts if thing != tint for each in compose_garments((thing, tint))
    ]
    seen = [each for each in joined if each.exists]
    unseen = [each for each in seen if each.tag not in board.posts]
    return [
        Share("pairs of a thing and its colour that are joined", len(seen), len(joined)),
        Share("of them, to tags that the board has not", len(unseen), len(seen)),
    ]


def table(figures: Iterable[Share]) -> str:
    """The figures as Markdown."""
    return "\n".join(
        ["| what | how many | share | by posts |", "|---|---:|---:|---:|", *(each.row() for each in figures)]
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition(":")[0])
    for name in ("implications", "aliases", "tags"):
        parser.add_argument(name, type=Path)
    asked = parser.parse_args()
    print(table(measure(Board(asked.implications, asked.aliases, asked.tags))))


if __name__ == "__main__":
    main()
