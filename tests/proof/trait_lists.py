"""Our table of traits against the lists of two other tools, over a tagger's vocabulary.

python -m tests.proof.trait_lists VOCABULARY.csv --pipeline character_tags.json --imgutils character.py

The lists stay where they are: `configs/tag_filtering/character_tags.json` of cyber-meow/anime_screenshot_pipeline and
`imgutils/tagging/character.py` of deepghs/imgutils; the vocabulary has columns `tag` and `posts`.
"""

from __future__ import annotations

import argparse
import ast
import csv
import json
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from pipeline.tags.vocabulary.aliases import canonical, singular, words
from pipeline.tags.vocabulary.traits import is_trait


@dataclass(frozen=True, slots=True)
class TraitList:
    """Another tool's list: a tag is a trait by its last words or its first ones, in singular or plural, unless it is
    listed whole as none."""

    none: frozenset[tuple[str, ...]]
    ends: frozenset[tuple[str, ...]]
    starts: frozenset[tuple[str, ...]]

    def holds(self, tag: str) -> bool:
        parts = _parts(tag)
        if parts in self.none:
            return False
        return any(parts[-len(end) :] == end for end in self.ends) or any(
            parts[: len(start)] == start for start in self.starts
        )


def _parts(tag: str) -> tuple[str, ...]:
    return tuple(map(singular, words(canonical(tag))))


def _all(names: Collection[str]) -> frozenset[tuple[str, ...]]:
    return frozenset(map(_parts, names))


def of_pipeline(path: Path) -> TraitList:
    """The JSON of anime_screenshot_pipeline, with both of its levels."""
    held = json.loads(path.read_text(encoding="utf-8"))
    ends, starts = ([name for level in held[key] for name in level] for key in ("suffixes", "prefixes"))
    return TraitList(_all(held["whitelist"]), _all(ends), _all(starts))


def of_imgutils(path: Path) -> TraitList:
    """The three lists of imgutils' module, which is read and not run."""
    found: dict[str, list[str]] = {}
    for node in ast.parse(path.read_text(encoding="utf-8")).body:
        if isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name) and isinstance(node.value, ast.List):
            found[node.targets[0].id] = ast.literal_eval(node.value)
    return TraitList(_all(found["_CHAR_WHITELIST"]), _all(found["_CHAR_SUFFIXES"]), _all(found["_CHAR_PREFIXES"]))


@dataclass(frozen=True, slots=True)
class Agreement:
    """How one list answers for another: by tags, and by the posts that carry them."""

    held: frozenset[str]
    wanted: frozenset[str]
    posts: Mapping[str, int]

    def shares(self, of: frozenset[str]) -> tuple[float, float]:
        """Of the tags `of`, those that both hold: (share of tags, share of posts)."""
        both = self.held & self.wanted
        total = sum(self.posts[tag] for tag in of)
        return len(both) / max(1, len(of)), sum(self.posts[tag] for tag in both) / max(1, total)

    def row(self, name: str) -> str:
        precision, recall = self.shares(self.held), self.shares(self.wanted)
        return f"{name:<42}{len(self.held):>6}   {precision[0]:.3f} / {precision[1]:.3f}   {recall[0]:.3f} / {recall[1]:.3f}"


def read(path: Path) -> dict[str, int]:
    """Tag, as captions write it, → posts."""
    with path.open(encoding="utf-8", newline="") as file:
        return {canonical(row["tag"]): int(row["posts"]) for row in csv.DictReader(file)}


def report(posts: Mapping[str, int], lists: Mapping[str, TraitList], differences: int) -> Iterator[str]:
    """The figures of every list and of ours against each other, then what only one side holds, the commonest first."""

    def of(what: Callable[[str], bool]) -> frozenset[str]:
        return frozenset(filter(what, posts))

    ours = of(is_trait)
    theirs = {name: of(each.holds) for name, each in lists.items()}
    yield f"{'of the vocabulary, by tags / by posts':<42}{'tags':>6}   {'precision':<15}   recall"
    for name, held in theirs.items():
        yield Agreement(held, ours, posts).row(f"{name}, with ours for the truth")
        yield Agreement(ours, held, posts).row(f"ours, with {name} for the truth")
    for name, held in theirs.items():
        for title, apart in ((f"only in {name}", held - ours), ("only in ours", ours - held)):
            ranked = sorted(apart, key=lambda tag: (-posts[tag], tag))[:differences]
            yield f"\n{title} ({len(apart)} tags): {', '.join(ranked)}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("vocabulary", type=Path)
    parser.add_argument("--pipeline", type=Path, required=True)
    parser.add_argument("--imgutils", type=Path, required=True)
    parser.add_argument("--differences", type=int, default=40, help="how many tags to name on each side")
    asked = parser.parse_args()
    lists = {"the pipeline": of_pipeline(asked.pipeline), "imgutils": of_imgutils(asked.imgutils)}
    print("\n".join(report(read(asked.vocabulary), lists, asked.differences)))


if __name__ == "__main__":
    main()
