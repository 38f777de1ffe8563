"""The balance table: the target and the actual share of every node of the concept tree, and what repeats come to."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from pipeline.concepts.exposure import (
    Group,
    Line,
    effective_size,
    epoch_exposures,
    lines,
    training_exposures,
    variation,
)
from pipeline.store.reasons.balance import BalanceReason
from pipeline.store.records import Decision, Image

FAR_OFF = 0.2
"""Part of a share that whole repeats may miss before their bar is marked as off target."""


@dataclass(frozen=True, slots=True)
class Branch:
    """A node of the concept tree: its line, its part of all files, and how often each of its images is seen."""

    line: Line
    files: float
    seen: float


@dataclass(frozen=True, slots=True)
class Balance:
    """The concept tree and what its repeats come to.

    `training` says in words how long the planned training is, which has about `training_exposures`; `missed` and
    `missed_rounded` are the parts of an epoch that are off target with fractional and with whole repeats.
    """

    branches: tuple[Branch, ...]
    images: int
    exposures_per_epoch: float
    effective: float
    missed: float
    missed_rounded: float
    training: str
    training_exposures: float


def balance_of(kept: Sequence[Image], repeats: Mapping[str, Decision], options: Mapping[str, Any]) -> Balance | None:
    """What the repeats come to, None where there are none; `options` are those of the run that chose them."""
    alike = Counter(
        (image.concept, decided.value.exact, decided.value.exported, decided.reason == BalanceReason.USER_SET)
        for image in kept
        if (decided := repeats.get(image.path))
    )
    groups = [
        Group(concept, count, exact, repeat, user_set)
        for (concept, exact, repeat, user_set), count in sorted(alike.items())
    ]
    if not groups:
        return None
    tree = lines(groups, options.get("weights", {}), options.get("exponent", 0.0))
    images, epoch = sum(group.images for group in groups), epoch_exposures(groups)
    steps, epochs = options.get("for_steps") or options.get("steps"), options.get("epochs", 1)
    batch_size = options.get("batch_size", 1)
    shown = training_exposures(epoch, steps, epochs, batch_size)
    leaves = [line for line in tree if line.leaf]
    targets = [line.target for line in leaves]
    return Balance(
        branches=tuple(Branch(line, line.images / images, line.seen(shown)) for line in tree),
        images=images,
        exposures_per_epoch=epoch,
        effective=effective_size(groups),
        missed=variation([line.share for line in leaves], targets),
        missed_rounded=variation([line.rounded for line in leaves], targets),
        training=f"{steps} batches of {batch_size}" if steps else f"{epochs} epoch" + ("" if epochs == 1 else "s"),
        training_exposures=shown,
    )


@dataclass(frozen=True, slots=True)
class Bar:
    """A bar of the plot: its kind and its width, in percent of the plot's."""

    kind: str
    width: float


@dataclass(frozen=True, slots=True, kw_only=True)
class NodeView:
    """A row of the table. `own` are the images that lie in a folder itself, beside the folders in it; `mark` is where
    the target share stands in the plot, in percent of its width; `words` say the plot."""

    path: str
    name: str
    depth: int
    leaf: bool
    own: bool
    bars: tuple[Bar, ...]
    mark: float
    words: str
    images: int
    weight: str
    target: str
    actual: str
    rounded: str
    repeats: str
    whole_repeats: str
    seen: str


@dataclass(frozen=True, slots=True, kw_only=True)
class BalanceView:
    """The figures above the table as in Balance, and the rows of the table."""

    images: int
    exposures_per_epoch: float
    effective: float
    missed: float
    missed_rounded: float
    training: str
    training_exposures: float
    nodes: tuple[NodeView, ...]


def balance_view(facts: Balance | None) -> BalanceView | None:
    """The concept tree with what the folders alone would give each node, its target share, and its actual share."""
    if facts is None:
        return None
    widest: dict[int, float] = {}
    for each in facts.branches:
        line = each.line
        widest[line.depth] = max(widest.get(line.depth, 0.0), line.target, line.share, line.rounded, each.files)
    return BalanceView(
        images=facts.images,
        exposures_per_epoch=facts.exposures_per_epoch,
        effective=facts.effective,
        missed=facts.missed,
        missed_rounded=facts.missed_rounded,
        training=facts.training,
        training_exposures=facts.training_exposures,
        nodes=tuple(_node(each, widest[each.line.depth]) for each in facts.branches),
    )


def _node(branch: Branch, widest: float) -> NodeView:
    line = branch.line
    own = line.path.endswith("/.")
    return NodeView(
        path=line.path,
        name="images of its own" if own else line.path.rpartition("/")[2],
        depth=line.depth,
        leaf=line.leaf,
        own=own,
        bars=_bars(branch, widest),
        mark=100 * line.target / widest,
        words=f"{line.path}: {branch.files:.2%} of the files, target share {line.target:.2%}, actual share "
        f"{line.share:.2%}, with whole repeats {line.rounded:.2%}",
        images=line.images,
        weight="user-set" if line.weight is None else f"{line.weight:g}",
        target=f"{line.target:.1%}",
        actual=f"{line.share:.1%}",
        rounded=f"{line.rounded:.1%}",
        repeats=" – ".join(f"×{value:.3f}" for value in _ends(line.exact)),
        whole_repeats=" – ".join(f"{value:.0f}" for value in _ends(line.repeats)),
        seen=f"{branch.seen:.0f}×",
    )


def _bars(branch: Branch, widest: float) -> tuple[Bar, ...]:
    """Bars for the files, and for the shares with fractional and with whole repeats."""
    line = branch.line
    far = abs(line.rounded - line.target) > FAR_OFF * line.target
    shares = (("files", branch.files), ("actual", line.share), ("whole far" if far else "whole", line.rounded))
    return tuple(Bar(kind, 100 * share / widest) for kind, share in shares)


def _ends(values: Sequence[float]) -> tuple[float, ...]:
    """The smallest and the largest, once where they are the same."""
    return tuple(sorted({min(values), max(values)})) if values else ()
