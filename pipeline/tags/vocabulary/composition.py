"""Two tags that say one thing together: `sweater vest` and `blue vest` are `blue sweater vest`.

A tagger names the thing and the colour of its class apart. They belong together only where one person wears one thing
of that class in one colour. What a base model has never seen is no use in its captions: the joined tag has to be one that
Danbooru has, unless a person asks for any.
"""

from __future__ import annotations

import functools
from collections.abc import Collection, Iterable
from typing import Literal, NamedTuple

from pipeline.tags.danbooru import tables
from pipeline.tags.vocabulary.implications import danbooru

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
_FOOTWEAR = (
    "ankle boots, boots, cowboy boots, cross-laced footwear, flip-flops, geta, high heel boots, high heels, knee boots, "
    "lace-up boots, loafers, mary janes, okobo, platform boots, platform heels, rubber boots, sandals, santa boots, shoes, "
    "slippers, sneakers, stiletto heels, strappy heels, thigh boots, uwabaki, waraji, zouri, armored boots, pumps"
)
_HEADWEAR = "helmet, hat, beret, beanie, cabbie hat, mob cap, peaked cap, garrison cap, veil, bandana, turban"
_CLASSES = {"footwear": frozenset(_FOOTWEAR.split(", ")), "headwear": frozenset(_HEADWEAR.split(", "))}
"""Nouns that taggers colour and that are no tags themselves → the things that they are of. A hairband is no headwear."""
_GARMENTS_TEXT = (
    "apron ascot belt bikini bloomers bodysuit bow bowtie bra buruma camisole cape capelet cardigan cloak coat "
    "corset dress flower gloves hakama hat hoodie jacket jumpsuit kimono leggings leotard necktie overalls panties "
    "pants pantyhose robe ribbon romper sarong scarf scrunchie shirt shoes shorts skirt socks suspenders sweater "
    "swimsuit tabard thighhighs tunic undershirt underwear vest yukata"
)
_GARMENTS = frozenset(_GARMENTS_TEXT.split())
"""Nouns of what a person wears one of, mostly; not hair, eyes or backgrounds."""
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


Compose = Literal["none", "garments", "free", "all"]
"""What is joined: nothing; colours and garments to tags that Danbooru has; to any tag; and hair as well."""


class Composed(NamedTuple):
    """`parts`, the thing and its colour, say together what `tag` says; they are replaced by it only where it `exists`, for
    the base model or because a person asked for any."""

    tag: str
    parts: tuple[str, str]
    exists: bool = True


def compose_garments(tags: Iterable[str], unseen: bool = False) -> tuple[Composed, ...]:
    """The colours of a class that have exactly one thing to belong to. For images of one person.

    Args:
        unseen: a tag that Danbooru has not counts as one that exists.
    """
    tags = sorted(set(tags))
    tinted: dict[str, list[str]] = {}
    for tag, noun in zip(tags, map(_tinted, tags), strict=True):
        if noun:
            tinted.setdefault(noun, []).append(tag)
    found = []
    for noun, colours in tinted.items():
        things = [tag for tag in tags if tag not in colours and _is_thing(tag, noun)]
        if len(colours) == 1 and len(things) == 1 and not set(things[0].split()) & set(COLOURS):
            joined = f"{colours[0].removesuffix(noun)}{things[0]}"
            found.append(Composed(joined, (things[0], colours[0]), unseen or joined in tables.tags()))
    return tuple(found)


@functools.cache
def _tinted(tag: str) -> str:
    """The noun that a tag gives a colour: footwear of `red footwear`; "" for most."""
    colour, _, noun = tag.rpartition(" ")
    return noun if colour in COLOURS and (noun in _CLASSES or noun in _GARMENTS) else ""


def compose_hair(tags: Iterable[str]) -> Composed | None:
    """One colour and one length of hair in one tag: `white hair` and `long hair` are `long white hair`, which no board has."""
    tags = set(tags)
    colours, lengths = tags & set(_HAIR_COLOURS), tags & set(_LENGTHS)
    if len(colours) != 1 or len(lengths) != 1:
        return None
    (colour,), (length,) = colours, lengths
    return Composed(f"{length.removesuffix(' hair')} {colour}", (length, colour))


@functools.cache
def _is_thing(tag: str, noun: str) -> bool:
    """Whether a tag names a thing of a class: `boots` and `lace-up boots` are footwear."""
    known: Collection[str] = _CLASSES.get(noun, (noun,))
    return (noun in _CLASSES and tag in known) or any(danbooru().implies(tag, thing) for thing in known)
