"""What repeats come to: shares of every node of the concept tree, the effective sample size, exposures in a training."""

from __future__ import annotations

import math
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from pipeline.concepts.shares import OWN, Node, nodes, shares, tree


@dataclass(frozen=True, slots=True)
class Group:
    """Images of one concept shown alike: `exact` times an epoch here, `repeat` times by trainers that know no other.

    `user_set` says that their folder asked for it, so that they have no share that was to get.
    """

    concept: str
    images: int
    exact: float
    repeat: int
    user_set: bool = False


@dataclass(frozen=True, slots=True)
class Line:
    """One node of the tree: its images, its weight (None where folders gave all repeats), and parts of the whole.

    `target` is the share it was to get, `share` what exact repeats give it, `rounded` what whole repeats do.
    `exact` and `repeats` are the repeats of its own images, none for a branch.
    """

    path: str
    images: int
    weight: float | None
    target: float
    share: float
    rounded: float
    exact: tuple[float, ...] = ()
    repeats: tuple[int, ...] = ()

    @property
    def depth(self) -> int:
        return self.path.count("/")

    @property
    def leaf(self) -> bool:
        return bool(self.exact)

    def seen(self, exposures: float) -> float:
        """How often each of its images (on average, in a branch) is seen when so many images are shown in all."""
        return exposures * self.share / self.images


def epoch_exposures(groups: Iterable[Group]) -> float:
    return math.fsum(group.exact * group.images for group in groups)


def whole_exposures(groups: Iterable[Group]) -> int:
    return sum(group.repeat * group.images for group in groups)


def training_exposures(epoch: float, steps: int | None, epochs: int, batch_size: int) -> float:
    """Images shown in a training, about: steps · batch size, else epochs · exposures an epoch; short batches take less."""
    return float(steps * batch_size) if steps is not None else epochs * epoch


def effective_size(groups: Sequence[Group]) -> float:
    """How many images of equal weight these are worth, (Σ m)² / Σ m² (Kish 1965, Survey Sampling)."""
    squares = math.fsum(group.exact**2 * group.images for group in groups)
    return epoch_exposures(groups) ** 2 / squares


def lines(groups: Sequence[Group], weights: Mapping[str, float], exponent: float = 0.0) -> tuple[Line, ...]:
    """Every node of the tree, each branch before what grows on it, a concept's own images first.

    What is balanced was to get its share of the part of an epoch that folders did not ask for.
    """
    free: Counter[str] = Counter()
    for group in groups:
        free[group.concept] += 0 if group.user_set else group.images
    balanced = tree({concept: images for concept, images in free.items() if images}, weights, exponent)
    target_shares = shares(balanced) if balanced.children else {}
    weighed = _weights(balanced)
    part = epoch_exposures(group for group in groups if not group.user_set) / epoch_exposures(groups)
    paths = nodes(tree({group.concept: 1 for group in groups}, {}))
    branches = {path.rpartition("/")[0] for path in paths}
    leaf = {concept: f"{concept}/{OWN}" if concept in branches else concept for concept in free}
    sums = _sums(groups, leaf, {concept: share * part for concept, share in target_shares.items()})
    members: dict[str, list[Group]] = defaultdict(list)
    for group in groups:
        members[leaf[group.concept]].append(group)
    found = []
    for path in paths:
        images, target, share, rounded = sums[path]
        exact = tuple(sorted({group.exact for group in members.get(path, ())}))
        whole = tuple(sorted({group.repeat for group in members.get(path, ())}))
        found.append(Line(path, int(images), weighed.get(path), target, share, rounded, exact, whole))
    return tuple(found)


def _sums(
    groups: Sequence[Group], leaf: Mapping[str, str], target_shares: Mapping[str, float]
) -> dict[str, list[float]]:
    """Path → [images, target, share, share of whole repeats] of all that lies in and below it."""
    epoch, whole = epoch_exposures(groups), whole_exposures(groups)
    sums: dict[str, list[float]] = defaultdict(lambda: [0, 0.0, 0.0, 0.0])
    for group in groups:
        share, rounded = group.exact * group.images / epoch, group.repeat * group.images / whole
        _add(sums, leaf[group.concept], (group.images, share if group.user_set else 0.0, share, rounded))
    for concept, target in target_shares.items():
        _add(sums, leaf[concept], (0, target, 0.0, 0.0))
    return sums


def _add(sums: dict[str, list[float]], path: str, figures: tuple[float, ...]) -> None:
    """Add figures to a path and to every branch that it grows on."""
    while path:
        sums[path] = [sum(pair) for pair in zip(sums[path], figures, strict=True)]
        path = path.rpartition("/")[0]


def _weights(node: Node) -> dict[str, float]:
    """Path → weight of every node below this one."""
    found = {child.name: child.weight for child in node.children.values()}
    for child in node.children.values():
        found |= _weights(child)
    return found


def variation(one: Iterable[float], other: Iterable[float]) -> float:
    """Total variation between two splits of a whole: half the sum of all differences, 0 when they are the same."""
    return math.fsum(abs(first - second) for first, second in zip(one, other, strict=True)) / 2
