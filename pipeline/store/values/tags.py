"""What became of every tag that was considered for an image."""

from __future__ import annotations

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


def tags_from_json(rows: Iterable[Sequence[Any]]) -> list[TagDecision]:
    return [TagDecision(row[0], _ACTIONS[row[1]], _REASONS[row[2]], *row[3:]) for row in rows]
