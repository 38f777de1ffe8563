"""Which images are hardest and easiest, and what about an image calls for a look. No torch here.

An image that stays hard is unusual, badly captioned or damaged; one that is far too easy is flat or has copies in the
set. Figures are held against the median of the set, in median absolute deviations, which a few odd images do not move.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import log
from statistics import fmean, median

TO_SIGMA = 1.4826
"""What makes the median absolute deviation of normally distributed values their standard deviation."""
MAD_THRESHOLD = 2.5
"""Such deviations from the median from which on a figure is worth a word."""
FEWEST = 5
"""Values from which on a median and a deviation say anything."""
DOUBTED = 0.1
"""Probability below which a tagger all but rules a tag out."""
TAGS_APART = 3
"""Tags by which a caption differs from its concept's median at least, to be called short or long."""
MOST_NAMED = 3


@dataclass(frozen=True, slots=True)
class ImageLoss:
    """An image's mean loss with the base model and, if there is one, with the adapter."""

    key: str
    base: float
    adapter: float | None = None

    @property
    def loss(self) -> float:
        """What images are ranked by: the loss with the adapter, else that of the base model."""
        return self.base if self.adapter is None else self.adapter

    @property
    def change(self) -> float | None:
        """What the adapter changed, as a share of the base model's loss: -0.1 is a tenth less."""
        return None if self.adapter is None else self.adapter / self.base - 1


@dataclass(frozen=True, slots=True)
class Known:
    """What is known of an image beside its losses.

    `tags` are its caption's; `scores` what a tagger gives those of them that it knows; `contrast` and `sharpness` as
    `prep check` measured them, None where it has not; `alike` are the other images of its group of near-duplicates;
    `held_out` is whether it was held out of training.
    """

    concept: str
    tags: tuple[str, ...]
    scores: Mapping[str, float]
    contrast: float | None = None
    sharpness: float | None = None
    alike: tuple[str, ...] = ()
    held_out: bool = False


def hardest_and_easiest(found: Sequence[ImageLoss], count: int) -> tuple[tuple[ImageLoss, ...], tuple[ImageLoss, ...]]:
    """The `count` images of the highest loss, the hardest first, and those of the lowest, the easiest first. Of a small
    set no image is on both sides."""
    ranked = sorted(found, key=lambda each: (-each.loss, each.key))
    half = (len(ranked) + 1) // 2
    return tuple(ranked[:half][:count]), tuple(ranked[half:][::-1][:count])


def deviations(values: Sequence[float]) -> list[float]:
    """How far each value lies from the median, in units of TO_SIGMA times the median absolute deviation (Leys et al. 2013,
    doi:10.1016/j.jesp.2013.03.013); all 0 for values that are too few or mostly equal."""
    middle = median(values) if values else 0.0
    spread = TO_SIGMA * median(abs(value - middle) for value in values) if values else 0.0
    if len(values) < FEWEST or spread == 0:
        return [0.0] * len(values)
    return [(value - middle) / spread for value in values]


def reasons(found: Sequence[ImageLoss], known: Mapping[str, Known]) -> dict[str, tuple[str, ...]]:
    """For every image the reasons to look at it, what matters most first; none for most."""
    kinds = [
        _unusual_losses(found),
        _little_learned(found, known),
        {each.key: _of_group(known[each.key]) for each in found},
        _unusual_lengths(found, known),
        {each.key: _doubted_tags(known[each.key]) for each in found},
        _low_scores(found, known),
        _low_pixels("flat", "contrast", {each.key: known[each.key].contrast for each in found}),
        _low_pixels("blurry", "sharpness", {each.key: known[each.key].sharpness for each in found}),
    ]
    return {each.key: tuple(words for kind in kinds if (words := kind.get(each.key))) for each in found}


def _unusual_losses(found: Sequence[ImageLoss]) -> dict[str, str]:
    values = {each.key: each.loss for each in found}
    return {
        key: f"loss {values[key]:.3g} is {abs(apart):.1f} deviations {'above' if apart > 0 else 'below'} the median "
        f"{median(values.values()):.3g}"
        for key, apart in _far(values).items()
    }


def _little_learned(found: Sequence[ImageLoss], known: Mapping[str, Known]) -> dict[str, str]:
    """Images that the adapter improved least, or made worse; one that was held out cannot be held against it."""
    changes = {each.key: each.change for each in found if each.change is not None and not known[each.key].held_out}
    words = {
        each.key: "held out of training" for each in found if known[each.key].held_out and each.adapter is not None
    }
    values = {key: change for key, change in changes.items() if change is not None}
    if values:
        usual = median(values.values())
        for key, apart in _far(values).items():
            if apart > 0:
                words[key] = f"changed by {values[key]:+.1%} where {usual:+.1%} is usual: are its tags right?"
        for key, change in values.items():
            if change > 0 and usual < 0:
                words.setdefault(key, f"worse by {change:.1%} with the adapter")
    return words


def _of_group(each: Known) -> str:
    if not each.alike:
        return ""
    plural = "s" if len(each.alike) > 1 else ""
    return f"{len(each.alike)} near-duplicate{plural} in the set: {_listed(each.alike)}"


def _unusual_lengths(found: Sequence[ImageLoss], known: Mapping[str, Known]) -> dict[str, str]:
    concepts = defaultdict[str, dict[str, float]](dict)
    for each in found:
        concepts[known[each.key].concept][each.key] = len(known[each.key].tags)
    words = {each.key: "empty caption" for each in found if not known[each.key].tags}
    for counts in concepts.values():
        usual = median(counts.values())
        for key, apart in _far(counts).items():
            if abs(counts[key] - usual) >= TAGS_APART:
                kind = "long" if apart > 0 else "short"
                words.setdefault(key, f"{kind} caption: {counts[key]} tags, the concept's median is {usual:g}")
    return words


def _doubted_tags(each: Known) -> str:
    doubted = sorted((score, tag) for tag, score in each.scores.items() if score < DOUBTED)
    return f"the tagger does not see: {_listed([f'{tag} ({score:.2f})' for score, tag in doubted])}" if doubted else ""


def _low_scores(found: Sequence[ImageLoss], known: Mapping[str, Known]) -> dict[str, str]:
    means = {each.key: fmean(known[each.key].scores.values()) for each in found if known[each.key].scores}
    return {
        key: f"its tags score {means[key]:.2f} on average, the median is {median(means.values()):.2f}"
        for key, apart in _far(means).items()
        if apart < 0
    }


def _low_pixels(word: str, name: str, measured: Mapping[str, float | None]) -> dict[str, str]:
    values = {key: value for key, value in measured.items() if value is not None}
    return {
        key: f"{word}: {name} {values[key]:.0f}, the median is {median(values.values()):.0f}"
        for key, apart in _far({key: log(max(value, 0.1)) for key, value in values.items()}).items()
        if apart < 0
    }


def _far(values: Mapping[str, float]) -> dict[str, float]:
    """The values that lie far from the median, with how far."""
    apart = zip(values, deviations(list(values.values())), strict=True)
    return {key: score for key, score in apart if abs(score) > MAD_THRESHOLD}


def _listed(names: Sequence[str]) -> str:
    return ", ".join(names[:MOST_NAMED]) + (f" and {len(names) - MOST_NAMED} more" if len(names) > MOST_NAMED else "")
