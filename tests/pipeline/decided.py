"""Decisions for tests that do not care why they were made."""

from collections.abc import Iterable
from typing import Any

from pipeline.store.reasons.balance import BalanceReason
from pipeline.store.reasons.bucket import BucketReason
from pipeline.store.reasons.captions import CaptionReason, ConflictReason, FlagReason
from pipeline.store.reasons.check import CheckReason
from pipeline.store.reasons.placement import PlacementReason, RepeatsSource
from pipeline.store.reasons.reason import Data, Reason, Reasoned
from pipeline.store.reasons.tagging import RegularizationReason, TaggerReason, TrainReason
from pipeline.store.reasons.tags import TagReason
from pipeline.store.records import Decision
from pipeline.store.values.tags import TagAction, TagDecision
from pipeline.store.wording import phrase, sentence

ORDINARY: dict[str, tuple[Reason, Data]] = {
    "imported": (PlacementReason.IMPORTED, {}),
    "user_repeats": (RepeatsSource.FOLDER_NAME, {"folder": "3_x"}),
    "manual_caption": (CaptionReason.MANUAL, {"origin": "new_file"}),
    "keep": (CheckReason.MISSING, {}),
    "bucket": (BucketReason.UNSCALED, {"image": [8, 8], "size": [8, 8], "scale": 1.0, "loss": 0.0}),
    "tagger": (TaggerReason.USED_LAST, {}),
    "tags": (CaptionReason.SCORED_TAGS, {"by": ["t"], "taggers": ["t@1/x"]}),
    "manual_edits": (CaptionReason.EDITED, {"edits": []}),
    "caption": (CaptionReason.CHOSEN, {"tags": 1, "considered": 0}),
    "flags": (FlagReason.FLAGGED, {"flags": []}),
    "contradictions": (ConflictReason.CONFLICTING, {"found": []}),
    "truncated_tags": (TrainReason.TRUNCATED, {"limit": 75, "over": 1}),
    "repeats": (BalanceReason.SHARE, {"target": 1.0, "images": 1, "concept": "x"}),
    "regularization": (RegularizationReason.SAME_CAPTION, {"seeds": [1], "steps": 1, "guidance": 1.0}),
}


def decided(path: str, field: str, value: Any) -> Decision:
    """A decision with an ordinary reason of its field."""
    return Decision(path, field, value, *ORDINARY[field])


def trigger(word: str) -> TagDecision:
    """A trigger word in front of a caption."""
    return TagDecision(word, TagAction.ADDED, TagReason.TRIGGER)


def scored(tag: str) -> TagDecision:
    """A tag that a tagger's score put into a caption."""
    return TagDecision(tag, TagAction.KEPT, TagReason.ABOVE_THRESHOLD, {"score": 0.9, "threshold": 0.35})


def reported(rows: Iterable[TagDecision]) -> list[tuple[str, str, str]]:
    """(tag, action, reason in words) of each."""
    return [(row.tag, row.action.value, phrase(row)) for row in rows]


def said(problem: Reasoned | None) -> str:
    """What is wrong in words, "" where nothing is."""
    return "" if problem is None else sentence(problem)
