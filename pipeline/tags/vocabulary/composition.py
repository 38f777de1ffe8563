"""Two tags that say one thing together: `boots` and `red footwear` are `red boots`.

A tagger names the thing and the colour of its class apart. They belong together only where one person wears one thing
of that class in one colour.
"""

from __future__ import annotations

import functools
from collections.abc import Iterable
from typing import NamedTuple

from pipeline.tags.vocabulary.implications import ABOUT_PERSON, is_kind_of

COLOURS = (
    "red",
    "blue",
    "green",
    "yellow",
    "black",
    "white",
    "brown",
    "pink",
    "purple",
    "orange",
    "grey",
    "aqua",
    "beige",
    "gold",
    "silver",
    "two-tone",
    "multicolored",
    "striped",
    "plaid",
)
CLASSES = ("footwear", "legwear", "headwear", "eyewear", "neckwear")
_NECKWEAR = frozenset({"necktie", "bowtie", "ascot", "scarf", "neckerchief", "cravat"})
_LENGTHS = ("very short hair", "short hair", "medium hair", "long hair", "very long hair", "absurdly long hair")
_HAIR_COLOURS = tuple(
    f"{colour} hair"
    for colour in (
        "blonde",
        "brown",
        "black",
        "blue",
        "red",
        "pink",
        "purple",
        "green",
        "white",
        "grey",
        "orange",
        "aqua",
        "light brown",
        "light blue",
        "dark blue",
        "platinum blonde",
    )
)


class Composed(NamedTuple):
    """`parts` are replaced by `tag`."""

    tag: str
    parts: tuple[str, str]


def compose_garments(tags: Iterable[str]) -> tuple[Composed, ...]:
    """The colours of a class that have exactly one thing to belong to. For images of one person."""
    colours: dict[str, list[str]] = {}
    things: dict[str, list[str]] = {}
    tags = list(tags)
    for tag, parts in sorted((tag, parts) for tag, parts in zip(tags, map(_parts, tags), strict=True) if parts):
        for generic, coloured in parts:
            (colours if coloured else things).setdefault(generic, []).append(tag)
    found = []
    for generic, tinted in colours.items():
        held = things.get(generic, [])
        if len(tinted) == 1 and len(held) == 1 and not set(held[0].split()) & set(COLOURS):
            colour = tinted[0][: -len(generic) - 1]
            found.append(Composed(f"{colour} {held[0]}", (held[0], tinted[0])))
    return tuple(found)


@functools.cache
def _parts(tag: str) -> tuple[tuple[str, bool], ...]:
    """(class, whether it gives the class a colour, or else is a thing of it); nothing for most tags."""
    colour, _, generic = tag.rpartition(" ")
    if generic in CLASSES and colour in COLOURS:
        others = tuple((each, False) for each in CLASSES if each != generic and _is_thing(tag, each))
        return ((generic, True), *others)
    return tuple((each, False) for each in CLASSES if _is_thing(tag, each))


def compose_hair(tags: Iterable[str]) -> Composed | None:
    """One colour and one length of hair in one tag: `white hair` and `long hair` are `long white hair`."""
    tags = set(tags)
    colours, lengths = tags & set(_HAIR_COLOURS), tags & set(_LENGTHS)
    if len(colours) != 1 or len(lengths) != 1:
        return None
    (colour,), (length,) = colours, lengths
    return Composed(f"{length.removesuffix(' hair')} {colour}", (length, colour))


def _is_thing(tag: str, generic: str) -> bool:
    """Whether a tag names a thing of a class: `boots` and `lace-up boots` are footwear."""
    known = _NECKWEAR if generic == "neckwear" else ABOUT_PERSON[generic]
    return tag in known or any(is_kind_of(tag, thing) for thing in known)
