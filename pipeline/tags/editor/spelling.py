"""Which tag a person means by what she typed, and tags in captions that look misspelt."""

from __future__ import annotations

import difflib
import functools
from collections.abc import Iterable, Iterator, Mapping
from typing import NamedTuple

from pipeline.store.manifest import Manifest
from pipeline.tags.vocabulary.aliases import Vocabulary, canonical, folded

NEAR = 3
SHORTEST = 4
"""Letters from which one wrong letter distinguishes a word from another."""
LONG = 7
"""Letters from which two wrong ones are, in trigger words."""


@functools.lru_cache(maxsize=1 << 17)
def alike(tag: str) -> str:
    """What spellings have in common that captions must not tell apart: case, and underscores for spaces."""
    return canonical(tag).casefold()


class Names:
    """The tags of a set: those that its taggers know, and those in its captions."""

    def __init__(self, categories: Mapping[str, str], captions: Iterable[str]) -> None:
        self.categories = categories
        self._all = Vocabulary({**dict.fromkeys(captions, ""), **categories})

    def of(self, typed: str, board: bool = True) -> str:
        """The tag that is meant; what is not known is only written as captions are. `board` is that of `spelled`."""
        return self._all.spelled(typed, board)

    def is_known(self, tag: str) -> bool:
        return tag in self._all.categories

    def near(self, tag: str) -> list[str]:
        """Known tags of nearly the same spelling, the nearest first."""
        return difflib.get_close_matches(tag, self._all.categories, NEAR, 0.7)


def categories_of(manifest: Manifest) -> dict[str, str]:
    """Tag → category by all taggers of a set, those of the newest going before the others."""
    found: dict[str, str] = {}
    for tagger in manifest.taggers().values():
        found.update(tagger.categories)
    return found


class Misspelt(NamedTuple):
    """A tag in captions that looks like another one, and what tells."""

    tag: str
    meant: str
    why: str


def misspelt(tags: Iterable[str], triggers: Iterable[str], known: Iterable[str]) -> Iterator[Misspelt]:
    """Tags that are neither known nor trigger words and differ from one that is by a letter or by how it is written.

    Args:
        tags: the tags of captions.
        known: tags of the taggers, and those that rules made.
    """
    triggers = list(dict.fromkeys(triggers))
    known = dict.fromkeys([*triggers, *known])
    by_fold: dict[str, str] = {}
    for tag in known:
        by_fold.setdefault(folded(tag), tag)
    unknown = sorted(set(tags) - known.keys())
    shortened = _shortened(by_fold) if unknown else {}
    for tag in unknown:
        name = folded(tag)
        if name in by_fold:
            yield Misspelt(tag, by_fold[name], "written another way")
            continue
        meant = next((each for each in triggers if _nearly(name, folded(each), 2 if len(name) >= LONG else 1)), None)
        if meant is not None:
            yield Misspelt(tag, meant, "nearly a trigger word")
        elif len(name) >= SHORTEST:
            near = {by for each in (name, *_deletions(name)) for by in shortened.get(each, ()) if _nearly(name, by, 1)}
            if near:
                yield Misspelt(tag, by_fold[min(near)], "nearly a known tag")


def _nearly(one: str, other: str, wrong: int) -> bool:
    long_enough = min(len(one), len(other)) >= SHORTEST
    return long_enough and abs(len(one) - len(other)) <= wrong and 0 < distance(one, other) <= wrong


def _deletions(name: str) -> Iterator[str]:
    """The name without one of its letters: what two names of distance 1 have in common."""
    return (name[:place] + name[place + 1 :] for place in range(len(name)))


def _shortened(names: Iterable[str]) -> dict[str, list[str]]:
    """Name, whole or without one letter → the names that give it."""
    found: dict[str, list[str]] = {}
    for name in names:
        if len(name) >= SHORTEST:
            for each in {name, *_deletions(name)}:
                found.setdefault(each, []).append(name)
    return found


def distance(one: str, other: str) -> int:
    """Letters to insert, delete, change or swap with the next to make one text the other (optimal string alignment)."""
    before: list[int] = []
    last = list(range(len(other) + 1))
    for row, letter in enumerate(one, 1):
        now = [row]
        for column, its in enumerate(other, 1):
            cost = min(last[column] + 1, now[-1] + 1, last[column - 1] + (letter != its))
            if row > 1 and column > 1 and letter == other[column - 2] and one[row - 2] == its:
                cost = min(cost, before[column - 2] + 1)
            now.append(cost)
        before, last = last, now
    return last[-1]
