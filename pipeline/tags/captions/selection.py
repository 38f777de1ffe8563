"""Which scores become tags: one threshold for each category or tag, and one verdict where several taggers speak."""

from __future__ import annotations

import functools
import sys
from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import Any, Literal, NamedTuple

from pipeline.store.reasons.tags import TagCause, TagReason
from pipeline.tags.captions.thresholds import Limits

BOORU = "booru"
"""The tagger that tags from image boards are recorded under: people gave them, so they hold whatever others say."""
LOWEST_CUT, HIGHEST_CUT = 0.15, 0.5
Combine = Literal["union", "intersection", "mean"]


class Choice(NamedTuple):
    """One tag that was considered; `cause` tells its probability and threshold, and by whom where several spoke."""

    tag: str
    score: float
    chosen: bool
    cause: TagCause


class TaggerVote:
    """One tagger's say on every image."""

    def __init__(self, name: str, categories: Mapping[str, str], limits: Limits) -> None:
        self.name, self.categories, self.limits = name, categories, limits
        self.certain = name.partition("@")[0] == BOORU
        self.by_tag = limits.by_tag({**dict.fromkeys(limits.asked, "general"), **categories})
        self.default = limits.of("", "general")

    def of_image(self, scores: Mapping[str, float], largest_gap: bool) -> Mapping[str, float | None]:
        """Tag → its threshold in one image, None for a rating; a tag that is not in it takes the default."""
        if not largest_gap:
            return self.by_tag
        groups: dict[str, list[float]] = {"general": []}
        for tag, score in scores.items():
            groups.setdefault(self.categories.get(tag, "general"), []).append(score)
        limits = Limits({group: gap_threshold(found) for group, found in groups.items()}, {}, self.limits.asked)
        return limits.by_tag({tag: self.categories.get(tag, "general") for tag in scores})


def choose(scores: Mapping[str, float], vote: TaggerVote, floor: float, largest_gap: bool = False) -> list[Choice]:
    """Judge every tag at or above `floor` but ratings, in the order of scores.

    Args:
        scores: tag → probability of one image.
        largest_gap: put each category's threshold into the largest gap between its probabilities (`gap_threshold`);
            thresholds that a person gave for a tag stay.
    """
    limits, default = vote.of_image(scores, largest_gap).get, vote.default
    intern, why, make = sys.intern, by_score, tuple.__new__  # looked up once: there are millions of tags
    found: list[Choice] = []
    for tag, score in scores.items():
        threshold = limits(tag, default)
        if threshold is not None and (score >= floor or score >= threshold):
            found.append(make(Choice, (intern(tag), score, score >= threshold, why(score, threshold))))
    return found


def choose_together(
    scores: Mapping[str, Mapping[str, float]],
    votes: Sequence[TaggerVote],
    combine: Combine,
    floor: float,
    largest_gap: bool = False,
) -> list[Choice]:
    """Judge every tag by all taggers that know it and scored the image.

    Args:
        scores: tagger → tag → probability of one image.
        combine: union takes a tag where one tagger does and the highest probability, intersection where all do and the
            lowest, mean where the mean of the probabilities reaches the mean of the thresholds.
    """
    certain = [vote for vote in votes if vote.certain and vote.name in scores]
    judged = _judged(scores, [vote for vote in votes if not vote.certain], combine, floor, largest_gap)
    return _with_certain(judged, scores, certain) if certain else judged


def _with_certain(
    judged: list[Choice], scores: Mapping[str, Mapping[str, float]], certain: Sequence[TaggerVote]
) -> list[Choice]:
    """The judged tags with those of image boards, which all hold, and so go before them."""
    known = {choice.tag: choice for choice in judged}
    for vote in certain:
        for tag, score in scores[vote.name].items():
            if vote.by_tag.get(tag, vote.default) is None:
                continue
            before = known.get(tag)
            data = {"score": round(before.score, 2)} if before is not None else {}
            known[tag] = Choice(sys.intern(tag), score, True, TagCause(TagReason.BOORU, data))
    return sorted(known.values(), key=lambda choice: -choice.score)


def _judged(
    scores: Mapping[str, Mapping[str, float]],
    votes: Sequence[TaggerVote],
    combine: Combine,
    floor: float,
    largest_gap: bool,
) -> list[Choice]:
    voting = [vote for vote in votes if vote.name in scores]
    if len(votes) == 1:
        return choose(scores[votes[0].name], votes[0], floor, largest_gap) if voting else []
    limits = {vote.name: vote.of_image(scores[vote.name], largest_gap) for vote in voting}
    found = []
    for tag in dict.fromkeys(tag for vote in voting for tag in scores[vote.name]):
        said = [
            (vote.name, scores[vote.name].get(tag, 0.0), limit)
            for vote in voting
            if (tag in vote.categories or tag in scores[vote.name])
            and (limit := limits[vote.name].get(tag, vote.default)) is not None
        ]
        if any(score >= floor or score >= limit for _, score, limit in said):
            found.append(_verdict(tag, said, combine))
    return found


def _verdict(tag: str, said: Sequence[tuple[str, float, float]], combine: Combine) -> Choice:
    scores = [score for _, score, _ in said]
    mean, limit = sum(scores) / len(said), sum(limit for _, _, limit in said) / len(said)
    holds = [score >= limit for _, score, limit in said]
    score, chosen = {
        "union": (max(scores), any(holds)),
        "intersection": (min(scores), all(holds)),
        "mean": (mean, mean >= limit),
    }[combine]
    votes = [(name, round(score, 2), round(limit, 2), score >= limit) for name, score, limit in said]
    data: dict[str, Any] = {"votes": votes}
    if combine == "mean" and len(said) > 1:
        data |= {"mean": True, "score": round(mean, 2), "threshold": round(limit, 2)}
    return Choice(sys.intern(tag), score, chosen, TagCause(_reason(chosen), data))


@functools.cache
def by_score(score: float, threshold: float) -> TagCause:
    """What one tagger's probability and its threshold say, as exact as it is shown; equal ones share their data, as a set
    has millions."""
    return TagCause(_reason(score >= threshold), {"score": round(score, 2), "threshold": round(threshold, 2)})


def _reason(chosen: bool) -> TagReason:
    return TagReason.ABOVE_THRESHOLD if chosen else TagReason.BELOW_THRESHOLD


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
