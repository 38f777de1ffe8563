"""Captions in sentences, distinguished from lists of tags."""

from __future__ import annotations

import re

from pipeline.tags.vocabulary.aliases import split_caption

_COMMON = "a an the is are was and with while who her his she he they their its it this that"
_FUNCTION_WORDS = frozenset(_COMMON.split())
_SENTENCE_END = re.compile(r"\w+\s+\w+\s+\w+[^,\n]*[.!?](\s+\S|$)|。")


def is_prose(text: str) -> bool:
    """Whether a caption is written in sentences: then a comma does not end a tag.

    True for a sentence's end after some words, for a part with two or more function words among six or more, for one
    part of five words or more, and for parts of five words on average.
    """
    parts = [part.split() for part in split_caption(text)]
    if not parts:
        return False
    if _SENTENCE_END.search(text) or (len(parts) == 1 and len(parts[0]) >= 5):
        return True
    if any(len(part) >= 6 and len(_FUNCTION_WORDS & {word.lower() for word in part}) >= 2 for part in parts):
        return True
    return sum(map(len, parts)) >= 5 * len(parts)
