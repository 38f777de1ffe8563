"""A tag that a more exact one makes needless: `hat` beside `witch hat`.

What a board knows goes first (`pipeline/tags/danbooru/`), at any number of removes; then a few facts of our own that no
board states, then the head noun (`head_nouns`). With two or more people in an image, the hat of one is not the hat of
another: there only what holds of the image as a whole acts, and what a person's own rules say.
"""

from __future__ import annotations

import functools
from collections.abc import Collection, Iterable, Mapping, Sequence
from difflib import get_close_matches

from pipeline.core.errors import PrepError
from pipeline.store.reasons.tags import ImpliedBy, TagCause, TagReason
from pipeline.tags.danbooru import tables
from pipeline.tags.vocabulary.head_nouns import alike, general_names

BOARD = "Danbooru"
LEVELS = ("specific", "both", "general")
"""Which of an exact and a general tag is kept."""
EVERY = "*"
"""Stands for every class of tags."""
_OURS = {
    "braid": "french braid",
    "coat": "raincoat",
    "flower": "cherry blossoms, daisy",
    "food": "rice",
    "indoors": "bedroom, classroom, bathroom, kitchen, office, library, hallway, infirmary, train interior, gym",
    "outdoors": "forest, beach, street, park, garden, field, flower field, rooftop, river, lake, desert, alley, road, "
    "railroad tracks, playground",
    "simple background": "white background, grey background, black background, blue background, pink background, "
    "red background, green background, yellow background, purple background, orange background, brown background, "
    "beige background, aqua background, transparent background, gradient background, two-tone background",
    "shorts": "cutoffs",
    "skirt": "tutu",
    "uniform": "school uniform, military uniform, gym uniform, police uniform",
    "water": "ocean, lake, river",
}
_WHOLE_TEXT = (
    "4koma, aircraft, airplane, architecture, artistic error, bad anatomy, bamboo, blurry, border, building, "
    "chinese text, cloud, comic, cover, cover page, credits, crossover, depth of field, english text, fake cover, "
    "fake screenshot, fence, field, fire, fireworks, flower field, forest, halftone, hatching (texture), indoors, "
    "library, light rays, logo, magazine cover, map, military vehicle, monochrome, moon, motion lines, motor "
    "vehicle, multiple boys, multiple girls, multiple others, multiple views, nature, new year, happy new year, "
    "outdoors, painting (medium), palm tree, parody, pillar, planet, railing, ranguage, realistic, retro artstyle, "
    "road, shop, simple background, sky, sliding doors, speech bubble, stairs, star (sky), style parody, sunburst, "
    "sunlight, torii, tower, traditional media, tree, user interface, warship, water, watercraft, watermark, window"
)
_WHOLE = frozenset(_WHOLE_TEXT.split(", "))
"""What holds of an image as a whole, however many people are in it."""


Steps = tuple[tuple[str, ImpliedBy], ...]
"""(tag, what leads to it), from an exact tag up."""


@functools.cache
def _own() -> Mapping[str, tuple[str, ...]]:
    found: dict[str, tuple[str, ...]] = {}
    for parent, text in _OURS.items():
        for child in text.split(", "):
            found[child] = (*found.get(child, ()), parent)
    return found


class Implications:
    """What makes what needless. `board` is tag → the tags that it implies directly, by the board called `name`."""

    def __init__(
        self,
        board: Mapping[str, Sequence[str]],
        name: str = BOARD,
        asked: Iterable[tuple[str, str]] = (),
        mined: Mapping[str, Sequence[str]] | None = None,
        distinct: Collection[tuple[str, str]] = (),
        levels: Mapping[str, str] | None = None,
    ) -> None:
        """
        Args:
            asked: pairs of an exact and a general tag of a person's rules.
            mined: exact tag → tags that it implies by the set's own scores.
            distinct: pairs of an exact and a general tag that are not to be merged.
            levels: class of tags → which are kept of it, of `LEVELS`. A class is a general tag with all that imply it.
        Raises:
            PrepError: a class is none that anything implies, or a level is none.
        """
        self.name, self._board, self._mined, self._distinct = name, board, mined or {}, frozenset(distinct)
        self._asked: dict[str, list[str]] = {}
        for child, parent in asked:
            self._asked.setdefault(child, []).append(parent)
        self._above: dict[str, dict[str, Steps]] = {}
        self._whole: dict[str, dict[str, Steps]] = {}
        self._causes: dict[tuple[str, str], TagCause] = {}
        self.parents = frozenset(
            parent for table in (board, _own()) for parents in table.values() for parent in parents
        )
        self.levels = _checked(levels or {}, self.parents)
        self._levels: dict[str, tuple[str, str]] = {}

    def above(self, child: str, one_person: bool = True) -> Mapping[str, Steps]:
        """Every tag that one makes needless → the steps that lead to it, by the shortest way."""
        if child not in self._above:
            found = self._closed(child, tuple(ImpliedBy))
            whole = {tag: way for tag, way in found.items() if tag in _WHOLE and not _by_scores(way)}
            self._whole[child] = {**whole, **self._closed(child, (ImpliedBy.RULES,))} if self._asked else whole
            self._above[child] = found
        return self._above[child] if one_person else self._whole[child]

    def _closed(self, child: str, by: Collection[ImpliedBy]) -> dict[str, Steps]:
        """All that follows from a tag by these rules, nearest first."""
        found: dict[str, Steps] = {}
        waiting: list[tuple[str, Steps]] = [(child, ())]
        for tag, way in waiting:
            for parent, rule in self._next(tag):
                if rule in by and parent != child and parent not in found:
                    found[parent] = (*way, (parent, rule))
                    waiting.append((parent, found[parent]))
        return {parent: way for parent, way in found.items() if (child, parent) not in self._distinct}

    def _next(self, tag: str) -> Iterable[tuple[str, ImpliedBy]]:
        yield from ((parent, ImpliedBy.RULES) for parent in self._asked.get(tag, ()))
        yield from ((parent, ImpliedBy.BOARD) for parent in self._board.get(tag, ()))
        yield from ((parent, ImpliedBy.OURS) for parent in _own().get(tag, ()))
        for name in general_names(tag):
            yield from ((each, ImpliedBy.NAME) for each in dict.fromkeys((name, alike(name), f"{alike(name)}s")))
        yield from ((parent, ImpliedBy.SCORES) for parent in self._mined.get(tag, ()))

    def implies(self, child: str, parent: str, one_person: bool = True) -> bool:
        """Whether `child` says all that `parent` says."""
        return parent in self.above(child, one_person)

    def needless(self, tags: Iterable[str], one_person: bool) -> dict[str, str]:
        """Tag → the more exact tag beside it that implies it. Of a class of which both are kept, none is needless."""
        tags = sorted(tags)
        present = set(tags)
        found: dict[str, str] = {}
        for child in tags:
            above = self.above(child, one_person)
            for parent in () if present.isdisjoint(above) else sorted(above.keys() & present):
                both = bool(self.levels) and self.level(parent)[1] == "both"
                if not both and not leads_to(found, child, parent):
                    found.setdefault(parent, child)
        return {tag: found[tag] for tag in tags if tag in found}

    def general(self, tag: str) -> str:
        """The tag that stands for one of a class of which only the general tag is kept; the tag itself else."""
        held, level = self.level(tag) if self.levels else (tag, "")
        return held if level == "general" else tag

    def level(self, tag: str) -> tuple[str, str]:
        """(class, level) of the most exact class that a tag is of; `EVERY` where no other was named."""
        if tag not in self._levels:
            above = self.above(tag)
            named = sorted(each for each in self.levels if each == tag or each in above)
            exact = max(
                named, key=lambda each: sum(each != other and other in self.above(each) for other in named), default=""
            )
            self._levels[tag] = (exact or EVERY, self.levels.get(exact or EVERY, LEVELS[0]))
        return self._levels[tag]

    def cause(self, parent: str, child: str) -> TagCause:
        """Why `parent` is needless beside `child`, with the steps of the rules; equal ones share their data."""
        if (parent, child) not in self._causes:
            steps = [list(step) for step in self.above(child)[parent]]
            data = {"by": child, "steps": steps, "board": self.name}
            self._causes[parent, child] = TagCause(TagReason.IMPLIED, data)
        return self._causes[parent, child]


def _by_scores(way: Steps) -> bool:
    return any(rule == ImpliedBy.SCORES for _, rule in way)


def _checked(levels: Mapping[str, str], general: Collection[str]) -> Mapping[str, str]:
    for held, level in levels.items():
        if level not in LEVELS:
            raise PrepError(f"levels: {held} = {level!r}", f"give one of {', '.join(LEVELS)}")
        if held == EVERY and level == "general":
            raise PrepError(
                f"levels: {EVERY} = general would leave no tag that means anything", "name a class, as hat=general"
            )
        if held != EVERY and held not in general:
            near = get_close_matches(held, general, 3)
            raise PrepError(
                f"levels: no tag implies {held!r}" + (f"; near it are {', '.join(near)}" if near else ""),
                "name a general tag, such as hat or holding; prep tags implied lists those of a set",
            )
    return levels


def leads_to(found: Mapping[str, str], child: str, parent: str) -> bool:
    """Whether `child` itself goes because of `parent`, at however many removes: then `parent` has to stay."""
    while child in found:
        child = found[child]
        if child == parent:
            return True
    return False


@functools.cache
def danbooru() -> Implications:
    """What Danbooru knows, and no person's rules."""
    return Implications(tables.implications())


def implies(child: str, parent: str, one_person: bool = True) -> bool:
    """Whether `child` says all that `parent` says, by what Danbooru knows and by their names."""
    return danbooru().implies(child, parent, one_person)
