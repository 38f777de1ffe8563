"""Core tags: the traits that make a character, which her trigger word should absorb.

A trait is core for a trigger word when nearly all pictures of it alone show it, clearly more of them than other
pictures do, and there are enough pictures to tell.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from pipeline.tags.names import words

_LAST_WORDS = (
    "hair bangs ponytail twintails braid braids bun buns drill drills ahoge sidelocks bob dreadlocks afro pigtails "
    "eyes pupils eyelashes eyebrows sclera iris heterochromia skin ears horns horn antlers tail tails wings halo fang "
    "fangs freckles mole scar tattoo beard mustache stubble hat beret beanie cap crown tiara hood hairband headband "
    "headdress headpiece hairclip hairpin scrunchie headwear helmet veil eyepatch"
)
_EXACT = frozenset(
    {
        "hair ornament",
        "hair bow",
        "hair ribbon",
        "hair flower",
        "hair bobbles",
        "hair tubes",
        "hair intakes",
        "hair bun",
        "double bun",
        "cone hair bun",
        "hair between eyes",
        "hair over one eye",
        "hair over eyes",
        "animal ear fluff",
        "heart ahoge",
        "forehead mark",
        "facial mark",
        "mole under eye",
        "mole under mouth",
        "scar on face",
        "scar across eye",
        "fox girl",
        "cat girl",
        "elf",
        "widow's peak",
        "x hair ornament",
        "animal ears",
        "two side up",
        "one side up",
        "half updo",
        "colored skin",
        "colored inner hair",
        "streaked hair",
        "dark-skinned female",
        "dark-skinned male",
        "whisker markings",
        "facial hair",
    }
)
_NO_TRAITS = frozenset(
    {
        "closed eyes",
        "half-closed eyes",
        "rolling eyes",
        "covered eyes",
        "wide-eyed",
        "one eye closed",
        "narrowed eyes",
        "empty eyes",
        "heart-shaped eyes",
        "crying with eyes open",
        "glowing eyes",
        "wet hair",
        "messy hair",
        "floating hair",
        "hair down",
        "hair up",
        "bed hair",
        "fake animal ears",
        "fake tail",
        "unworn hat",
        "unworn headwear",
        "shiny skin",
        "shiny hair",
        "pubic hair",
        "hat removed",
        "wet skin",
        "covering own eyes",
    }
)
_ACTS = (
    "hand hands playing adjusting holding tucking brushing grabbing touching covering own another's "
    "pulling tying no removing unworn on"
)
_HEADS, _ACTING = frozenset(_LAST_WORDS.split()), frozenset(_ACTS.split())


@dataclass(frozen=True, slots=True)
class Pictured:
    """The tags of a picture, the trigger words of its folder, and whether it shows one person."""

    triggers: tuple[str, ...]
    tags: frozenset[str]
    one_person: bool


@dataclass(frozen=True, slots=True)
class Core:
    """Why a tag is core: in `shown` of `pictures` of the trigger word alone, in `elsewhere` of `others` without it."""

    trigger: str
    tag: str
    shown: int
    pictures: int
    elsewhere: int
    others: int

    @property
    def share(self) -> float:
        return self.shown / self.pictures

    @property
    def lift(self) -> float:
        """How many times more often than in other pictures; infinite where no other shows it."""
        return self.share / (self.elsewhere / self.others) if self.elsewhere else math.inf

    @property
    def figures(self) -> str:
        rest = f"{self.elsewhere} of {self.others} others" if self.others else "no other pictures to compare"
        return f"in {self.shown} of {self.pictures} pictures, {rest}"


def is_trait(tag: str) -> bool:
    """Whether a tag says what someone looks like whatever she wears and does: hair, eyes, ears, horns, headwear."""
    if tag in _NO_TRAITS:
        return False
    parts = words(tag)
    return tag in _EXACT or (parts[-1] in _HEADS and not _ACTING & set(parts[:-1]))


def core_tags(pictures: Sequence[Pictured], share: float, lift: float, at_least: int) -> dict[str, dict[str, Core]]:
    """Trigger word → core tag → its figures, for trigger words with `at_least` pictures of them alone."""
    alone = alone_by_trigger(pictures)
    found: dict[str, dict[str, Core]] = {}
    for trigger, own in alone.items():
        if len(own) < at_least:
            continue
        others = [picture for picture in pictures if trigger not in picture.triggers]
        shown, elsewhere = _counts(own), _counts(others)
        cores = [
            Core(trigger, tag, count, len(own), elsewhere[tag], len(others))
            for tag, count in sorted(shown.items())
            if is_trait(tag)
        ]
        found[trigger] = {core.tag: core for core in cores if core.share >= share and core.lift >= lift}
    return found


def alone_by_trigger(pictures: Iterable[Pictured]) -> Mapping[str, list[Pictured]]:
    """Trigger word → pictures that show one person and stand in a folder of this trigger word only."""
    found: dict[str, list[Pictured]] = {}
    for picture in pictures:
        for trigger in picture.triggers:
            own = found.setdefault(trigger, [])
            if len(picture.triggers) == 1 and picture.one_person:
                own.append(picture)
    return found


def _counts(pictures: Iterable[Pictured]) -> Counter[str]:
    return Counter(tag for picture in pictures for tag in picture.tags)
