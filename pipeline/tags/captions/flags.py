"""What is to be known of an image beside its caption, as rows."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace

from pipeline.store.reasons.captions import ConflictReason, FlagReason
from pipeline.store.records import Decision
from pipeline.store.values.contradiction import Contradiction
from pipeline.tags.statistics.survey import SurveyedImage


def flag_rows(images: Iterable[SurveyedImage]) -> Iterator[Decision]:
    """A row for every image whose tags speak of its file: a watermark, a signature, text, a border."""
    for image in images:
        if image.flags:
            yield Decision(image.path, "flags", list(image.flags), FlagReason.FLAGGED, {"flags": _told(image)})


def _told(image: SurveyedImage) -> list[tuple[str, list[tuple[str, float]]]]:
    return [(flag, [(tag, round(score, 2)) for tag, score in tags.items()]) for flag, tags in image.flags.items()]


def contradiction_rows(
    odd: Mapping[str, Sequence[Contradiction]], fixed: Collection[tuple[str, str]]
) -> Iterator[Decision]:
    """A row for every image that contradicts the others of its concept, or itself.

    Args:
        odd: image → what contradicts in it.
        fixed: (image, attribute) of what curation fixes.
    """
    for path, found in odd.items():
        value = tuple(replace(each, fixed=(path, each.attribute) in fixed) for each in found)
        done = all(each.fixed for each in value)
        reason = ConflictReason.FIXED if done else ConflictReason.CONFLICTING
        yield Decision(path, "contradictions", value, reason, {"found": [each.to_json() for each in value]})
