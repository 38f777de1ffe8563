"""Which reasons each field of decisions can have."""

from __future__ import annotations

from collections.abc import Mapping

from pipeline.store.reasons.balance import BalanceReason
from pipeline.store.reasons.bucket import BucketReason
from pipeline.store.reasons.captions import CaptionReason, ConflictReason, FlagReason
from pipeline.store.reasons.check import CheckReason
from pipeline.store.reasons.choices import ChoiceReason
from pipeline.store.reasons.placement import PlacementReason, RepeatsSource
from pipeline.store.reasons.reason import Reason, Recorded
from pipeline.store.reasons.tagging import RegularizationReason, TaggerReason, TrainReason

_ENUMS: Mapping[str, type[Reason]] = {
    "imported": PlacementReason,
    "user_repeats": RepeatsSource,
    "manual_caption": CaptionReason,
    "keep": CheckReason,
    "bucket": BucketReason,
    "tagger": TaggerReason,
    "tags": CaptionReason,
    "manual_edits": CaptionReason,
    "caption": CaptionReason,
    "flags": FlagReason,
    "contradictions": ConflictReason,
    "truncated_tags": TrainReason,
    "repeats": BalanceReason,
    "regularization": RegularizationReason,
    "manual_keep": ChoiceReason,
    "manual_anchor": ChoiceReason,
    "manual_repeats": ChoiceReason,
    "settled": ChoiceReason,
}
_BY_CODE = {field: {reason.value: reason for reason in reasons} for field, reasons in _ENUMS.items()}


def reason_of(field: str, code: str) -> Reason:
    """The reason that a code of a field stands for."""
    known = _BY_CODE.get(field, {})
    return known[code] if code in known else Recorded(code)
