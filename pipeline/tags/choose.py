"""Which scores become tags: one threshold for each category."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise

LOWEST_CUT, HIGHEST_CUT = 0.15, 0.5


@dataclass(frozen=True, slots=True)
class Choice:
    """One tag that was considered."""

    tag: str
    category: str
    score: float
    threshold: float

    @property
    def chosen(self) -> bool:
        return self.score >= self.threshold

    @property
    def figures(self) -> str:
        return f"{self.score:.2f} {'≥' if self.chosen else '<'} {self.threshold:.2f}"


def choose(
    scores: Mapping[str, float],
    categories: Mapping[str, str],
    thresholds: Mapping[str, float],
    floor: float,
    largest_gap: bool = False,
) -> tuple[Choice, ...]:
    """Judge every tag at or above `floor` but ratings, most probable first.

    Args:
        scores: tag → probability of one picture.
        categories: tag → category; what is not in it counts as general.
        thresholds: category → threshold; categories that are not in it take the one of `general`.
        largest_gap: put each category's threshold into the largest gap between its probabilities (`gap_threshold`).
    """
    groups: dict[str, list[float]] = {}
    for tag, score in scores.items():
        groups.setdefault(categories.get(tag, "general"), []).append(score)
    limits = {
        category: gap_threshold(found) if largest_gap else thresholds.get(category, thresholds["general"])
        for category, found in groups.items()
    }
    found = [
        Choice(tag, category, score, limits[category])
        for tag, score in scores.items()
        if (category := categories.get(tag, "general")) != "rating" and score >= min(floor, limits[category])
    ]
    return tuple(sorted(found, key=lambda choice: (-choice.score, choice.tag)))


def gap_threshold(scores: Sequence[float]) -> float:
    """The middle of the largest gap between neighbouring probabilities (maximum cut thresholding, Largeron et al.
    2012), held between 0.15 and 0.5: a single dominant tag must not cut off all others."""
    falling = sorted(scores, reverse=True)
    gaps = [(high - low, (high + low) / 2) for high, low in pairwise(falling)]
    middle = max(gaps, key=lambda gap: gap[0])[1] if gaps else HIGHEST_CUT
    return min(max(middle, LOWEST_CUT), HIGHEST_CUT)


def best_rating(scores: Mapping[str, float], categories: Mapping[str, str]) -> tuple[str, float] | None:
    """The most probable rating; they are read against each other, not against a threshold."""
    ratings = [(score, tag) for tag, score in scores.items() if categories.get(tag) == "rating"]
    return (max(ratings)[1], max(ratings)[0]) if ratings else None
