"""From which probability a tag holds: what the model publishes, and what a person says instead."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from pipeline.store.records import Tagger
from taggers import registry

UNJUDGED = frozenset({"rating", "quality", "model", "year"})
"""Categories that are no content of an image: ratings and qualities are read against each other, the rest tell of the
upload."""


@dataclass(frozen=True, slots=True)
class Limits:
    """Probabilities from which tags hold. `asked` is by tag and from a person, `tags` by tag and published by the
    model, `categories` for all others; a category that is not in it takes the one of `general`."""

    categories: Mapping[str, float]
    tags: Mapping[str, float]
    asked: Mapping[str, float]

    def by_tag(self, vocabulary: Mapping[str, str]) -> dict[str, float | None]:
        """The threshold of every tag of a vocabulary (tag → category); None for those that are read against each other."""
        return {tag: None if category in UNJUDGED else self.of(tag, category) for tag, category in vocabulary.items()}

    def of(self, tag: str, category: str) -> float:
        found = self.asked.get(tag)
        if found is None:
            found = self.tags.get(tag)
        if found is None:
            found = self.categories.get(category)
        return self.categories["general"] if found is None else found


def published(tagger: Tagger) -> tuple[Mapping[str, float], Mapping[str, float]]:
    """(by category, by tag): what is published for a tagger, in its record or by its name; both empty where nothing is."""
    return tagger.thresholds or registry.published_thresholds(tagger.name) or {}, tagger.tag_thresholds


def limits_of(tagger: Tagger, by_category: Mapping[str, float], by_tag: Mapping[str, float]) -> Limits:
    """A person's threshold for a tag goes before theirs for a category, that before the model's for a tag.

    Args:
        by_category: what a person gave for a whole category.
        by_tag: what a person gave for single tags.
    """
    categories, tags = published(tagger)
    left = {tag: figure for tag, figure in tags.items() if tagger.categories.get(tag, "general") not in by_category}
    return Limits({**registry.USUAL, **categories, **by_category}, left, by_tag)
