"""Captions in sentences, distinguished from lists of tags."""

from __future__ import annotations

import functools
import re

from pipeline.tags.vocabulary.aliases import split_caption

_COMMON = "a an the is are was and with while who her his she he they their its it this that"
_FUNCTION_WORDS = frozenset(_COMMON.split())
_STOP = re.compile(r"[.!?](?=\s|$)")
_WORD = re.compile(r"\w+")


@functools.lru_cache(maxsize=1 << 15)
def is_prose(text: str) -> bool:
    """Whether a caption is written in sentences: then a comma does not end a tag.

    True for a sentence's end after some words, for a part with two or more function words among six or more, for one
    part of five words or more, and for parts of five words on average.
    """
    parts = [part.split() for part in split_caption(text)]
    if not parts:
        return False
    if _ends_a_sentence(text) or (len(parts) == 1 and len(parts[0]) >= 5):
        return True
    if any(len(part) >= 6 and len(_FUNCTION_WORDS & {word.lower() for word in part}) >= 2 for part in parts):
        return True
    return sum(map(len, parts)) >= 5 * len(parts)


def _ends_a_sentence(text: str) -> bool:
    """Whether three words in a row, and whatever else without a comma, end in a full stop. Goes over the text once."""
    if "。" in text:
        return True
    if not any(sign in text for sign in ".!?"):
        return False
    return any(
        _STOP.search(part) is not None and _has_three_words(part[: [each.start() for each in _STOP.finditer(part)][-1]])
        for part in re.split(r"[,\n]", text)
    )


def _has_three_words(part: str) -> bool:
    row = 0
    for token in part.split():
        whole = _WORD.fullmatch(token) is not None
        if row == 2 and (token[0].isalnum() or token[0] == "_"):
            return True
        row = row + 1 if whole or (row == 0 and (token[-1].isalnum() or token[-1] == "_")) else 0
        if not whole and row == 0 and (token[-1].isalnum() or token[-1] == "_"):
            row = 1
    return False
