"""Which tags are said to hold, by a model's own thresholds."""

from __future__ import annotations

from collections.abc import Collection, Mapping

from taggers.spec import USUAL


def holding(
    scores: Mapping[str, float],
    categories: Mapping[str, str],
    by_category: Mapping[str, float],
    by_tag: Mapping[str, float],
    exclusive: Collection[str],
) -> set[str]:
    """The tags that reach their own threshold, or that of their category; of an exclusive category the most probable.

    Args:
        scores: tag → probability.
        categories: tag → category; what is not in it is general.
        by_category: category → threshold; one that is not in it takes that of general tags.
        by_tag: tag → threshold, which goes before that of its category.
        exclusive: categories of which one tag holds whatever its probability, such as ratings.
    """
    general = by_category.get("general", USUAL["general"])
    best: dict[str, tuple[float, str]] = {}
    found = set()
    for tag, score in scores.items():
        category = categories.get(tag, "general")
        if category in exclusive:
            best[category] = max(best.get(category, (-1.0, "")), (score, tag))
        elif score >= by_tag.get(tag, by_category.get(category, general)):
            found.add(tag)
    return found | {tag for _, tag in best.values()}
