"""Captions longer than a text encoder takes at once: read in chunks, split where A1111 and Forge split them, so that a
prompt there means what it meant in training. No torch here."""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TypeVar

CHUNK = 75
"""Tokens of a chunk of CLIP: the 77 it takes without those of start and end."""
BACKTRACK = 20
"""How far before the end of a chunk a comma is looked for: A1111's default for "prefer to break at a comma"."""
END = "</w>"
"""What CLIP's vocabulary writes at the end of a word."""
COMMA = f",{END}"
T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Special:
    """A vocabulary's ids of start, end, padding and comma; SD 1.x pads with the end, SD 2.x and SDXL's second with 0."""

    start: int
    end: int
    pad: int
    comma: int


def chunks(tokens: Sequence[T], comma: T, size: int = CHUNK, backtrack: int = BACKTRACK) -> list[Sequence[T]]:
    """Part a caption's tokens, without those of start and end, into chunks of at most `size`.

    Where more tokens follow and the last comma is among the last `backtrack` of a chunk, the chunk ends with that comma,
    unless the next token is a comma itself. An empty caption is one empty chunk.
    """
    found, start = [], 0
    while len(tokens) - start > size:
        end = start + size
        if tokens[end] != comma:
            near = (index for index in range(end - 1, max(start, end - backtrack) - 1, -1) if tokens[index] == comma)
            end = next(near, end - 1) + 1
        found.append(tokens[start:end])
        start = end
    return [*found, tokens[start:]]


def seen(tokens: Sequence[T], comma: T, most: int, size: int = CHUNK) -> int:
    """How many of a caption's first tokens lie within a limit of `most`: those of its first most / size chunks."""
    return sum(len(chunk) for chunk in chunks(tokens, comma, size)[: most // CHUNK])


def framed(chunk: Sequence[int], special: Special, size: int = CHUNK) -> tuple[int, ...]:
    """A chunk as the encoder takes it: `size` + 2 ids, start in front, end right behind the last token, then padding."""
    return special.start, *chunk, special.end, *[special.pad] * (size - len(chunk))


class Limit:
    """Which tags of captions lie beyond a limit of tokens.

    Args:
        tokens_of: a text's tokens as CLIP's vocabulary writes them, without those of start and end.
    """

    def __init__(self, tokens_of: Callable[[str], Sequence[str]], most: int) -> None:
        self._tokens_of, self._most = tokens_of, most
        self._sizes = functools.cache(lambda tag: (len(tokens := tokens_of(tag)), _width(tokens)))

    def lost(self, tags: Sequence[str]) -> tuple[list[str], int]:
        """The tags of a caption that are cut, wholly or in part, and how many tokens are beyond the limit.

        Where a tag ends is inferred from what the tokens spell, as a comma may be one token with what stands before it.
        """
        if self._fits(tags):
            return [], 0
        tokens = self._tokens_of(", ".join(tags))
        kept = seen(tokens, COMMA, self._most)
        if kept == len(tokens):
            return [], 0
        read, end = _width(tokens[:kept]), 0
        for index, tag in enumerate(tags):
            end += self._sizes(tag)[1]
            if end > read:
                return list(tags[index:]), len(tokens) - kept
            end += 1
        return [], len(tokens) - kept

    def _fits(self, tags: Sequence[str]) -> bool:
        """Whether a caption is within the limit wherever its chunks are split: judged tag by tag, each counted once."""
        spare = BACKTRACK * (self._most // CHUNK - 1)
        return sum(self._sizes(tag)[0] + 1 for tag in tags) <= self._most - spare


def _width(tokens: Sequence[str]) -> int:
    """How many bytes of text tokens spell, spaces not counted."""
    return sum(map(_spelt, tokens))


@functools.lru_cache(65536)
def _spelt(token: str) -> int:
    return len(token.removesuffix(END))
