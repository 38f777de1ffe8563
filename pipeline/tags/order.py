"""The order of tags in a caption, the same on every machine."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from pipeline.tags.people import is_count

_GROUPS = ("character", "copyright", "artist", "added", "general", "meta", "rating")


def ordered(tags: Mapping[str, float], categories: Mapping[str, str], triggers: Sequence[str]) -> tuple[str, ...]:
    """Trigger words in their own order, then counts (`solo` first), characters, copyrights, artists, tags added by
    folder, general tags, meta and rating; within a group the most probable first, equal ones by name.

    Args:
        tags: tag → probability.
        categories: tag → category; what is not in it counts as general.
    """
    first = {trigger: place for place, trigger in enumerate(triggers)}

    def key(tag: str) -> tuple[int, float, str]:
        if tag in first:
            return (0, first[tag], tag)
        if is_count(tag):
            return (1, 0 if tag == "solo" else 1 - tags[tag] / 2, tag)
        return (2 + _GROUPS.index(categories.get(tag, "general")), -tags[tag], tag)

    return tuple(sorted({**tags, **dict.fromkeys(triggers, 1.0)}, key=key))


def within_limit(order: Sequence[str], triggers: Sequence[str], limit: int) -> tuple[str, ...]:
    """The first `limit` tags of a caption beside its trigger words; 0 is no limit."""
    if not limit:
        return tuple(order)
    beside = [tag for tag in order if tag not in triggers][:limit]
    return tuple(tag for tag in order if tag in triggers or tag in beside)
