"""Two captions held against each other, word by word."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterator
from typing import Literal, NamedTuple

from pipeline.core.caption_text import split_tags

MOST_NAMED = 6


class Piece(NamedTuple):
    """A stretch of text that is the same in both, only in the first (`removed`) or only in the second (`added`)."""

    kind: Literal["same", "removed", "added"]
    text: str


def pieces(before: str, after: str) -> tuple[Piece, ...]:
    """Both texts as one: what is left of each by taking the other's pieces out is that text exactly.

    Tags, what stands between commas, are compared as wholes; text without commas word by word.
    """
    return tuple(_joined(_compare(_tokens(before), _tokens(after))))


def _tokens(text: str) -> list[str]:
    """Tags and the separators between them; text without commas as words and the spaces between them."""
    return re.findall(r",\s*|[^,]+" if "," in text else r"\s+|\S+", text)


def _compare(before: list[str], after: list[str]) -> Iterator[Piece]:
    for what, a, b, c, d in difflib.SequenceMatcher(None, before, after, autojunk=False).get_opcodes():
        if what == "equal":
            yield Piece("same", "".join(before[a:b]))
            continue
        if a < b:
            yield Piece("removed", "".join(before[a:b]))
        if c < d:
            yield Piece("added", "".join(after[c:d]))


def _joined(found: Iterator[Piece]) -> Iterator[Piece]:
    held: Piece | None = None
    for piece in found:
        if held is not None and held.kind == piece.kind:
            held = Piece(held.kind, held.text + piece.text)
            continue
        if held is not None:
            yield held
        held = piece
    if held is not None:
        yield held


def tags_changed(before: str, after: str) -> str:
    """`-red footwear, +red boots`: which tags one caption has and the other has not."""
    old, new = (list(split_tags(text)) for text in (before, after))
    found = [f"-{tag}" for tag in old if tag not in new] + [f"+{tag}" for tag in new if tag not in old]
    rest = len(found) - MOST_NAMED
    named = ", ".join(found[:MOST_NAMED]) + (f" and {rest} more" if rest > 0 else "")
    return named or ("another order" if old != new else "spaces" if before != after else "")
