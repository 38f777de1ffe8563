"""The order of tags in a caption, the same on every machine, and where it is cut."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

from pipeline.tags.vocabulary.person_count import is_count

_GROUPS = ("character", "copyright", "artist", "added", "general", "model", "meta", "quality", "rating")
_PLACE = {group: 2 + place for place, group in enumerate(_GROUPS)}


def ordered(
    tags: Mapping[str, float],
    categories: Mapping[str, str],
    triggers: Sequence[str],
    rank: Mapping[str, float] | None = None,
) -> tuple[str, ...]:
    """Trigger words in their own order, then counts (`solo` first), characters, copyrights, artists, tags added by
    folder, general tags, meta and rating; within a group the most probable first, equal ones by name.

    Args:
        tags: tag → probability.
        categories: tag → category; what is not in it counts as general.
        rank: tag → place among its group instead of its probability, low ones first; what is not in it goes by its
            last word, as `red boots` by boots, or comes last.
    """
    rest: list[tuple[int, float, str]] = []
    general, category = _PLACE["general"], categories.get
    for (tag, score), counts in zip(tags.items(), map(is_count, tags), strict=True):
        if counts:
            rest.append((1, 0.0 if tag == "solo" else 1 - score / 2, tag))
            continue
        place = -score if rank is None else rank.get(tag, rank.get(tag.rpartition(" ")[2], math.inf))
        rest.append((_PLACE.get(category(tag, "general"), general), place, tag))
    rest.sort()
    head = tuple(dict.fromkeys(triggers))
    return (*head, *(tag for _, _, tag in rest if tag not in head))


def within_limit(order: Sequence[str], triggers: Sequence[str], limit: int) -> tuple[str, ...]:
    """The first `limit` tags of a caption beside its trigger words; 0 is no limit."""
    if not limit:
        return tuple(order)
    beside = [tag for tag in order if tag not in triggers][:limit]
    return tuple(tag for tag in order if tag in triggers or tag in beside)
