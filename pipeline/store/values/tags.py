"""What became of every tag that was considered for an image."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Sequence
from enum import StrEnum
from typing import Any, NamedTuple

from pipeline.store.reasons.reason import NOTHING, Data
from pipeline.store.reasons.tags import TagReason


class TagAction(StrEnum):
    KEPT = "kept"
    DROPPED = "dropped"
    ADDED = "added"
    RENAMED = "renamed"


class TagDecision(NamedTuple):
    """One tag, what became of it, and why. A named tuple, as a set has millions of them and JSON writes them as they are."""

    tag: str
    action: TagAction
    reason: TagReason
    data: Data = NOTHING

    @property
    def in_caption(self) -> bool:
        return self.action in (TagAction.KEPT, TagAction.ADDED)

    @property
    def below_threshold(self) -> bool:
        """Whether it was only listed, as no tagger gave it its threshold."""
        return self.reason == TagReason.BELOW_THRESHOLD

    @property
    def is_trigger(self) -> bool:
        """Whether curation put it in front as a trigger word."""
        return self.action == TagAction.ADDED and self.reason == TagReason.TRIGGER


_ACTIONS = {action.value: action for action in TagAction}
_REASONS = {reason.value: reason for reason in TagReason}


_MAKE = TagDecision._make
_DECODER = json.JSONDecoder()
_TRIGGER = re.compile(rf'\["(?:[^"\\]|\\.)*", "{TagAction.ADDED}", "{TagReason.TRIGGER}", ')
"""How JSON begins that holds a tag that is a trigger word."""


def tags_from_json(rows: Iterable[Sequence[Any]]) -> list[TagDecision]:
    return [_MAKE((tag, _ACTIONS[action], _REASONS[reason], data)) for tag, action, reason, data in rows]


def leading_triggers(text: str) -> tuple[str, ...]:
    """The trigger words in the JSON of an image's tags. They lead it, and as tags are many, the rest is not read."""
    words, at = [], 1
    while _TRIGGER.match(text, at):
        (tag, *_), end = _DECODER.raw_decode(text, at)
        words.append(tag)
        at = end + len(", ")
    return tuple(words)
