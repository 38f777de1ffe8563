"""One spelling for every tag."""

from __future__ import annotations

import re

_LETTERS = re.compile(r"[^\W\d_]{2}")


def canonical(name: str) -> str:
    """A tag as people type it, in the spelling of captions: `long_hair` → `long hair`, `mira \\(x\\)` → `mira (x)`.

    Underscores stay in a kaomoji, a name without two letters in a row: `>_<`, `o_o`, `(o)_(o)`.
    """
    name = re.sub(r"\\([()])", r"\1", name.strip())
    return " ".join(name.replace("_", " ").split()) if _LETTERS.search(name) else name


def split_caption(text: str) -> tuple[str, ...]:
    """The tags of a caption, in its own spelling."""
    return tuple(part for part in (piece.strip() for piece in text.replace("\n", ",").split(",")) if part)


def words(name: str) -> tuple[str, ...]:
    """The words of a tag: `cat ears` → cat, ears; `1girl` → 1girl."""
    return tuple(name.split())


def sub_words(trigger: str) -> frozenset[str]:
    """The parts of a trigger word, folded: `OyamaMahiro` and `oyama mahiro` → oyama, mahiro. Parts of two letters or
    fewer are too common to tell anything."""
    parts = re.findall(r"[A-Z]+(?![a-z])|[A-Z]?[^\W\d_A-Z]+|\d+", trigger)
    return frozenset(part.casefold() for part in parts if len(part) > 2)
