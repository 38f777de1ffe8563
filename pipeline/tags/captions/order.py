"""The order of tags in a caption, the same on every machine, and where it is cut."""

from __future__ import annotations

import functools
import math
from collections.abc import Collection, Mapping, Sequence

from pipeline.store.reasons.reason import NOTHING
from pipeline.tags.formats.family import GROUPS
from pipeline.tags.vocabulary.person_count import is_count


def ordered(
    tags: Mapping[str, float],
    categories: Mapping[str, str],
    triggers: Sequence[str],
    rank: Mapping[str, float] | None = None,
    groups: Sequence[str] = GROUPS,
    beside: Mapping[str, str] = NOTHING,
) -> tuple[str, ...]:
    """Trigger words in their own order, then the groups of a format; within a group the most probable first, equal ones by
    name.

    Args:
        tags: tag → probability.
        categories: tag → category; what is not in it counts as general.
        groups: every group in its order.
        beside: word that the format puts beside the tags → its group; those of one group stay in this order.
        rank: tag → place among its group instead of its probability, low ones first; what is not in it goes by its
            last word, as `red boots` by boots, or comes last.
    """
    rest: list[tuple[int, float, str]] = []
    places = _places(tuple(groups))
    general, category, turn = places["general"], categories.get, {word: place for place, word in enumerate(beside)}
    for (tag, score), counts in zip(tags.items(), map(is_count, tags), strict=True):
        if tag in turn:
            rest.append((places[beside[tag]], turn[tag] - len(turn), tag))
            continue
        if counts:
            rest.append((places["solo" if tag == "solo" else "count"], -score, tag))
            continue
        place = -score if rank is None else rank.get(tag, rank.get(tag.rpartition(" ")[2], math.inf))
        rest.append((places.get(category(tag, "general"), general), place, tag))
    rest.sort()
    head = tuple(dict.fromkeys(triggers))
    return (*head, *(tag for _, _, tag in rest if tag not in head))


@functools.cache
def _places(groups: tuple[str, ...]) -> Mapping[str, int]:
    """Group → its place; tags of a tagger's category `model` stand with those about the file."""
    places = {group: place for place, group in enumerate(groups)}
    return places | {"model": places["meta"]}


def within_limit(order: Sequence[str], spared: Collection[str], limit: int) -> tuple[str, ...]:
    """The first `limit` tags of a caption beside its trigger words and those of its format, `spared`; 0 is no limit."""
    if not limit:
        return tuple(order)
    beside = [tag for tag in order if tag not in spared][:limit]
    return tuple(tag for tag in order if tag in spared or tag in beside)
