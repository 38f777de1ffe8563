"""What every node of the concept tree was promised and what it gets: the figures, and the plot of them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from pipeline.concepts.exposure import (
    GIVEN,
    Group,
    Line,
    effective_size,
    epoch_exposures,
    lines,
    training_exposures,
    variation,
)
from pipeline.core.humanize import grouped
from pipeline.report.html.markup import Html, element, join, row, table
from pipeline.store.records import Decision, Image

FAR_OFF = 0.2
"""Part of a share that whole repeats may miss before their bar is shown as wrong."""
NUMBERS = tuple(range(2, 10))


@dataclass(frozen=True, slots=True)
class Branch:
    """A node of the concept tree: its line, its part of all files, and how often each of its images is seen."""

    line: Line
    files: float
    seen: float


@dataclass(frozen=True, slots=True)
class Balance:
    """The concept tree and what its repeats come to.

    `training` says in words what `shown` images are shown in; `missed` and `missed_rounded` how much of an epoch is
    not where it was promised to be, with exact repeats and with whole repeats.
    """

    branches: tuple[Branch, ...]
    images: int
    epoch: float
    effective: float
    missed: float
    missed_rounded: float
    training: str
    shown: float


def balance_of(kept: Sequence[Image], repeats: Mapping[str, Decision], options: Mapping[str, Any]) -> Balance | None:
    """What the repeats come to, None where there are none; `options` are those of the run that chose them."""
    alike = Counter(
        (image.concept, decided.value.exact, decided.value.exported, decided.reason == GIVEN)
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
        epoch=epoch,
        effective=effective_size(groups),
        missed=variation([line.share for line in leaves], targets),
        missed_rounded=variation([line.rounded for line in leaves], targets),
        training=f"{steps} batches of {batch_size}" if steps else f"{epochs} epoch" + ("" if epochs == 1 else "s"),
        shown=shown,
    )


def balance(facts: Balance) -> Html:
    """The concept tree with what the folders alone would give each branch, what it is to get, and what it gets."""
    intro = element(
        "p",
        "Every folder's share is split among the folders in it. The mark is the share that a concept is to get, the bars "
        "what it gets. This trainer uses the exact repeats, exports to others whole repeats. Bars of one level of "
        "folders are drawn to the same scale.",
        class_="lead",
    )
    heads = ("concept", "", "images", "weight", "target", "exact", "whole", "repeats", "repeat", "seen")
    widest: dict[int, float] = {}
    for each in facts.branches:
        line = each.line
        widest[line.depth] = max(widest.get(line.depth, 0.0), line.target, line.share, line.rounded, each.files)
    rows = [_branch(each, widest[each.line.depth]) for each in facts.branches]
    return join(intro, _tiles(facts), _legend(), table(heads, rows, NUMBERS, "tree"))


def _tiles(facts: Balance) -> Html:
    tiles = (
        (grouped(facts.epoch), "images are shown in an epoch"),
        (
            grouped(facts.effective),
            f"images shown alike would count as much as these {grouped(facts.images)} (effective sample size, "
            f"{facts.effective / facts.images:.0%})",
        ),
        (
            f"{facts.missed_rounded:.1%}",
            f"of an epoch goes to other concepts than promised with whole repeats, {facts.missed:.1%} with exact ones",
        ),
        (grouped(facts.shown), f"images, about, are shown in the planned training of {facts.training}"),
    )
    return element("ul", *(element("li", element("b", figure), " ", words) for figure, words in tiles), class_="tiles")


def _legend() -> Html:
    keys = (
        ("files", "of all files"),
        ("exact", "exact"),
        ("whole", "whole repeats"),
        ("far", "missed by a fifth or more"),
    )
    marks = [element("span", element("i", class_=kind), words) for kind, words in keys]
    return element("p", *marks, element("span", element("i", class_="target"), "target"), class_="key")


def _branch(branch: Branch, widest: float) -> Html:
    line = branch.line
    indent = f"padding-left:{line.depth * 1.1:.1f}em"
    own = line.path.endswith("/.")
    words = "images of its own" if own else line.path.rpartition("/")[2]
    return row(
        element("span", words, style=indent, title=line.path, class_="quiet" if own else None),
        _plot(branch, widest),
        grouped(line.images),
        "user-set" if line.weight is None else f"{line.weight:g}",
        f"{line.target:.1%}",
        f"{line.share:.1%}",
        f"{line.rounded:.1%}",
        " – ".join(f"×{value:.3f}" for value in _ends(line.exact)),
        " – ".join(f"{value:.0f}" for value in _ends(line.repeats)),
        f"{branch.seen:.0f}×",
        numbers=NUMBERS,
        class_=None if line.leaf else "branch",
    )


def _plot(branch: Branch, widest: float) -> Html:
    """Bars for the files, the exact and the whole repeats, with a mark where the target is."""
    line = branch.line
    far = abs(line.rounded - line.target) > FAR_OFF * line.target
    figures = (("files", branch.files), ("exact", line.share), ("whole far" if far else "whole", line.rounded))
    bars = [element("i", class_=kind, style=f"width:{100 * share / widest:.2f}%") for kind, share in figures]
    mark = element("i", class_="target", style=f"left:{100 * line.target / widest:.2f}%")
    title = (
        f"{line.path}: {branch.files:.2%} of the files, target {line.target:.2%}, exact {line.share:.2%}, "
        f"whole repeats {line.rounded:.2%}"
    )
    return element("span", *bars, mark, class_="plot", title=title, role="img", aria_label=title)


def _ends(values: Sequence[float]) -> tuple[float, ...]:
    """The smallest and the largest, once where they are the same."""
    return tuple(sorted({min(values), max(values)})) if values else ()
