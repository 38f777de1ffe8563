"""Verdicts on copies: of equal and nearly equal images one is kept, and a regularization image never copies a kept one."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence

from pipeline.images.duplicates import Similarity, find_duplicates
from pipeline.store.reasons.check import CheckReason
from pipeline.store.records import Decision, Image, Measurement


def drop_copies(
    images: Sequence[Image],
    measured: Mapping[str, Measurement],
    similarity: Similarity,
    preferred: Callable[[Image], bool],
    within_concepts: bool,
) -> list[Decision]:
    """A row for every image that is dropped as a copy of a better one; those that are `preferred` stay.

    Args:
        measured: content → what was measured of it.
        within_concepts: look for copies only within each concept.
    """
    rows = []
    for group in _groups(images, within_concepts):
        for copy in find_duplicates(group, measured, similarity, preferred):
            if not preferred(copy.loser):
                reason = CheckReason.NEAR_DUPLICATE if copy.near else CheckReason.DUPLICATE
                rows.append(Decision(copy.loser.path, "keep", False, reason, copy.data))
    return rows


def _groups(images: Sequence[Image], within_concepts: bool) -> list[list[Image]]:
    groups: dict[str, list[Image]] = defaultdict(list)
    for image in images:
        groups[image.concept if within_concepts else ""].append(image)
    return list(groups.values())


def drop_regularization_duplicates(
    reg_images: Sequence[Image], kept: Sequence[Image], measured: Mapping[str, Measurement], similarity: Similarity
) -> list[Decision]:
    """A row for every regularization image that shows what a kept image shows; the kept one always stays."""
    training = {image.path for image in kept}
    known = [reg_image for reg_image in reg_images if reg_image.content in measured]
    if not known:
        return []
    usable = [reg_image for reg_image in known if not measured[reg_image.content].problem]
    duplicates = find_duplicates(
        [*kept, *usable], measured, similarity, lambda _: False, lambda image: image.path in training
    )
    return [
        Decision(
            copy.loser.path,
            "keep",
            False,
            CheckReason.NEAR_DUPLICATE_OF_TRAINING if copy.near else CheckReason.DUPLICATE_OF_TRAINING,
            copy.data,
        )
        for copy in sorted(duplicates, key=lambda copy: copy.loser.path)
        if copy.loser.path not in training
    ]
