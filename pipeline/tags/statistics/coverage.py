"""Which images show which tags, counted: how often in each concept, beside what, and with examples and without.

A tag can be prompted for, and left out, when training shows images with it and images without it; what nearly all
images of a concept show is taken for a part of it ("Stable Diffusion LoRA training science and notes", rentry).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

Verdict = Literal["always present: learned with its trigger word", "balanced: promptable", "too few to learn"]
ALWAYS_PRESENT: Verdict = "always present: learned with its trigger word"
BALANCED: Verdict = "balanced: promptable"
TOO_FEW: Verdict = "too few to learn"


@dataclass(frozen=True, slots=True)
class Sightings:
    """Which of P images show which of T tags: N pairs, those of one image beside each other.

    `starts` is (P + 1,) int64: the pairs of image p are starts[p] to starts[p + 1]; `columns` (N,) int32 numbers into
    `tags`; `scores` (N,) float32 probabilities.
    """

    tags: tuple[str, ...]
    starts: NDArray[np.int64]
    columns: NDArray[np.int32]
    scores: NDArray[np.float32]

    @property
    def images(self) -> int:
        return len(self.starts) - 1

    @property
    def rows(self) -> NDArray[np.int64]:
        """(N,) the image of every pair."""
        return np.repeat(np.arange(self.images), np.diff(self.starts))


def sightings(images: Iterable[Mapping[str, float]]) -> Sightings:
    """Gather tag → probability of every image, in their order."""
    numbers: dict[str, int] = {}
    columns: list[int] = []
    scores: list[float] = []
    starts = [0]
    for tags in images:
        columns.extend([numbers.setdefault(tag, len(numbers)) for tag in tags])
        scores.extend(tags.values())
        starts.append(len(columns))
    return Sightings(
        tuple(numbers), np.array(starts, np.int64), np.array(columns, np.int32), np.array(scores, np.float32)
    )


def frequencies(seen: Sightings, weights: Sequence[float] | None = None) -> dict[str, float]:
    """Tag → images that show it; with weights, such as repeats, how often it is shown."""
    of_pair = None if weights is None else np.asarray(weights, np.float64)[seen.rows]
    counts = np.bincount(seen.columns, of_pair, len(seen.tags))
    return dict(zip(seen.tags, counts.tolist(), strict=True))


def by_concept(
    seen: Sightings, concepts: Sequence[str], weights: Sequence[float] | None = None
) -> dict[str, dict[str, float]]:
    """Concept → tag → its images there that show it, with weights how often it is shown; the commonest tag first.

    Args:
        concepts: the concept of every image.
    """
    names = sorted(set(concepts))
    number = {name: place for place, name in enumerate(names)}
    of_image = np.array([number[concept] for concept in concepts], np.int64)
    keys = of_image[seen.rows] * len(seen.tags) + seen.columns
    of_pair = np.ones(len(keys)) if weights is None else np.asarray(weights, np.float64)[seen.rows]
    pairs, where = np.unique(keys, return_inverse=True)
    counts = np.bincount(where, of_pair, len(pairs))
    found: dict[str, dict[str, float]] = {name: {} for name in names}
    for place in np.lexsort((pairs, -counts)).tolist():
        concept, tag = divmod(int(pairs[place]), len(seen.tags))
        found[names[concept]][seen.tags[tag]] = float(counts[place])
    return found


class Together:
    """How often tags stand beside each other; made once, asked often."""

    def __init__(self, seen: Sightings) -> None:
        self.seen = seen
        self._number = {tag: place for place, tag in enumerate(seen.tags)}
        self._by_tag = np.argsort(seen.columns, kind="stable")
        self.counts = np.bincount(seen.columns, minlength=len(seen.tags))
        self._ends = self.counts.cumsum()
        self._rows = seen.rows

    def showing(self, tag: str) -> NDArray[np.int64]:
        """The numbers of the images that show a tag, in order; none for a tag that is not known."""
        place = self._number.get(tag)
        if place is None:
            return np.zeros(0, np.int64)
        end = self._ends[place]
        return self._rows[self._by_tag[end - self.counts[place] : end]]

    def beside(self, tag: str) -> NDArray[np.int64]:
        """(T,) in how many of the images that show a tag each tag stands."""
        return np.bincount(self.seen.columns[self.pairs_of(self.showing(tag))], minlength=len(self.seen.tags))

    def pairs_of(self, images: NDArray[np.int64]) -> NDArray[np.int64]:
        """The numbers of the pairs of some images."""
        starts, lengths = self.seen.starts[images], np.diff(self.seen.starts)[images]
        before = lengths.cumsum() - lengths
        numbers: NDArray[np.int64] = np.arange(int(lengths.sum())) + np.repeat(starts - before, lengths)
        return numbers

    def mean_score(self, tag: str, images: NDArray[np.int64]) -> float:
        """The mean probability of a tag over images, 0 where they do not show it."""
        pairs = self.pairs_of(images)
        mine = pairs[self.seen.columns[pairs] == self._number[tag]]
        return float(self.seen.scores[mine].sum() / max(1, len(images)))


def together(seen: Sightings, tag: str, at_least: int = 1) -> dict[str, int]:
    """Other tag → images that show both, the commonest first."""
    counts = Together(seen).beside(tag)
    order = np.lexsort((np.arange(len(counts)), -counts))
    return {
        seen.tags[place]: int(counts[place])
        for place in order.tolist()
        if counts[place] >= at_least and seen.tags[place] != tag
    }


@dataclass(frozen=True, slots=True)
class Coverage:
    """A tag's examples in one concept: images with it and without, and how often an epoch shows either."""

    concept: str
    tag: str
    present: int
    absent: int
    exposures_present: float
    exposures_absent: float
    verdict: Verdict

    @property
    def share(self) -> float:
        """How much of what an epoch shows of the concept has the tag, 0..1."""
        return self.exposures_present / (self.exposures_present + self.exposures_absent)


def coverage(
    seen: Sightings, concepts: Sequence[str], repeats: Sequence[float] | None = None, few: int = 5, always: float = 0.95
) -> Iterator[Coverage]:
    """What training can learn of every tag of every concept, by concept, the tag shown most often first.

    Args:
        concepts: the concept of every image.
        repeats: how often an epoch shows every image; once each if not given.
        few: images with a tag below which it is too few to learn.
        always: share of what is shown from which a tag is always present, for there is hardly an example without it.
    """
    weights = np.ones(len(concepts)) if repeats is None else np.asarray(repeats, np.float64)
    images = by_concept(seen, concepts)
    shown = by_concept(seen, concepts, weights.tolist())
    size: dict[str, int] = {}
    whole: dict[str, float] = {}
    for concept, weight in zip(concepts, weights.tolist(), strict=True):
        size[concept] = size.get(concept, 0) + 1
        whole[concept] = whole.get(concept, 0.0) + weight
    for concept, tags in shown.items():
        for tag, exposures_present in tags.items():
            present = int(images[concept][tag])
            exposures_absent = max(0.0, whole[concept] - exposures_present)
            verdict = (
                TOO_FEW
                if present < few
                else ALWAYS_PRESENT
                if exposures_present >= always * whole[concept]
                else BALANCED
            )
            yield Coverage(concept, tag, present, size[concept] - present, exposures_present, exposures_absent, verdict)
