"""Two tags that say one thing together: `boots` and `red footwear` are `red boots`.

A tagger names the thing and the colour of its class apart. They belong together only where one person wears one thing
of that class in one colour.
"""

from __future__ import annotations

import functools
from collections.abc import Iterable
from typing import NamedTuple

from pipeline.tags.implications import ABOUT_PERSON, is_kind_of

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
    """The colours of a class that have exactly one thing to belong to. For pictures of one person."""
    tags = set(tags)
    found = []
    for generic in CLASSES:
        coloured = [tag for tag in tags if tag.endswith(f" {generic}") and tag[: -len(generic) - 1] in COLOURS]
        if len(coloured) != 1:
            continue
        things = [tag for tag in tags if tag != coloured[0] and _is_thing(tag, generic)]
        if len(things) == 1 and not set(things[0].split()) & set(COLOURS):
            colour = coloured[0][: -len(generic) - 1]
            found.append(Composed(f"{colour} {things[0]}", (things[0], coloured[0])))
    return tuple(found)


def compose_hair(tags: Iterable[str]) -> Composed | None:
    """One colour and one length of hair in one tag: `white hair` and `long hair` are `long white hair`."""
    tags = set(tags)
    colours, lengths = tags & set(_HAIR_COLOURS), tags & set(_LENGTHS)
    if len(colours) != 1 or len(lengths) != 1:
        return None
    (colour,), (length,) = colours, lengths
    return Composed(f"{length.removesuffix(' hair')} {colour}", (length, colour))


@functools.cache
def _is_thing(tag: str, generic: str) -> bool:
    """Whether a tag names a thing of a class: `boots` and `lace-up boots` are footwear."""
    known = _NECKWEAR if generic == "neckwear" else ABOUT_PERSON[generic]
    return tag in known or any(is_kind_of(tag, thing) for thing in known)
