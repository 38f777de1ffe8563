"""Choose the repeats of every image, so that each concept gets its target share of an epoch.

The folders of concepts are a tree: the whole is split among its branches, each branch among its own, by their weights
(1 each if not given), and images lying directly in a branch count as one more. Images of a concept with few of
them are shown more often. The exact figure is used by `prep train`, the whole one by exports to other trainers.
"""

from __future__ import annotations

import math
import typing
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from difflib import get_close_matches
from typing import Literal

from pipeline.concepts.exposure import (
    Group,
    Line,
    effective_size,
    epoch_exposures,
    lines,
    training_exposures,
    variation,
)
from pipeline.concepts.shares import Rounding, exact_repeats, nodes, shares, tree, unmatched, whole_repeats
from pipeline.config.settings import suggest
from pipeline.core.errors import PrepError
from pipeline.store.manifest import Manifest
from pipeline.store.reasons.balance import BalanceReason
from pipeline.store.reasons.reason import Data
from pipeline.store.records import Decision, Image, Plan
from pipeline.store.stage import Stage
from pipeline.store.values.repeats import Repeats

NAME = "balance"
MANY_REPEATS = 50
"""Times the least shown image's exposures above which a concept is warned of; the cap then advised is 20 times."""
ADVISED_REPEATS = 20
SHOWN = 5
"""Concepts that a warning names."""
LISTED = 30
"""Paths that an error names; of more it names the ten nearest."""
LARGE_PART = 0.05
FAR_OFF = 0.2
LIMIT = 1e6


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    weights: Mapping[str, float] = field(default_factory=dict)
    """Concept path and its weight among its siblings, such as characters/fanart=2; in a path * stands for any one
    level and ** for any number of them, as in **/fanart=2; the path itself goes before a pattern, and of patterns the
    one with most letters besides * wins."""
    exponent: float = 0.0
    """How much the number of images counts beside the weights: 0 not at all, 1 leaves the folders' own proportions,
    between them large concepts get more than small ones, but less than their size."""
    min_repeat: float = 1.0
    """How often an image of the concept that needs it least is shown per epoch."""
    max_repeat: float | None = None
    """How often any image is shown at most; what this cuts goes to the sibling concepts."""
    user_repeats: Literal["keep", "ignore"] = "keep"
    """Images whose folder says how often they are shown (24_name, multiply.txt) keep that, and the others are
    balanced among themselves; ignore balances all. min_repeat and max_repeat do not touch what is kept."""
    rounding: Rounding = "floor"
    """How whole repeats are made of the exact ones, for exports."""
    for_steps: int | None = None
    """Tell how often each image is seen in this many batches, instead of in what [train] of prep.toml plans."""
    steps: int | None = field(default=None, metadata={"section": "train"})
    """Batches of the planned training."""
    epochs: int = field(default=10, metadata={"section": "train"})
    """Epochs of the planned training."""
    batch_size: int = field(default=4, metadata={"section": "train"})
    """Images a batch of the planned training."""

    def __post_init__(self) -> None:
        for concept, weight in self.weights.items():
            if not 1 / LIMIT <= weight <= LIMIT:
                raise PrepError(
                    f"the weight of {concept} is {weight:g}",
                    f"give a number above 0, {1 / LIMIT:f} to {LIMIT:.0f}; prep check --drop leaves images out",
                )
        if not 0 <= self.exponent <= 1:
            raise PrepError(
                f"exponent is {self.exponent:g}", "give 0 for weights alone to 1 for the folders' own proportions"
            )
        if not 1 / LIMIT <= self.min_repeat <= LIMIT:
            raise PrepError(
                f"min_repeat is {self.min_repeat:g}",
                f"give a number above 0, at most {LIMIT:.0f}; 1 shows every image once or more",
            )
        if self.max_repeat is not None and not self.max_repeat >= self.min_repeat:
            raise PrepError(
                f"max_repeat is {self.max_repeat:g}, below min_repeat of {self.min_repeat:g}",
                "give a larger max_repeat",
            )
        if self.for_steps is not None and self.for_steps < 1:
            raise PrepError(f"for_steps is {self.for_steps}", "give 1 or more, the batches of a training")


@dataclass(frozen=True, slots=True)
class Balanced:
    """What was found: groups of images alike, the tree's lines, and how the balanced part of it came about.

    `exact` and `counts` are of what was balanced, `held` the concepts that max_repeat keeps from their share.
    """

    groups: tuple[Group, ...]
    lines: tuple[Line, ...]
    exact: Mapping[str, float]
    counts: Mapping[str, int]
    held: frozenset[str]


def plan(manifest: Manifest, options: Options) -> Plan:
    """Repeats for every kept image."""
    kept = manifest.kept()
    if not kept:
        return Plan(NAME, ("repeats",), notes=("no image is kept, so there is nothing to balance",))
    user_repeats = manifest.decisions("user_repeats") if options.user_repeats == "keep" else {}
    _refuse_unknown(kept, options.weights)
    balanced = balance(kept, {path: float(row.value) for path, row in user_repeats.items()}, options)
    epoch = epoch_exposures(balanced.groups)
    training = training_exposures(epoch, options.for_steps or options.steps, options.epochs, options.batch_size)
    counts = {
        "exposures_an_epoch": round(epoch),
        "training_exposures": round(training),
        "effective_sample_size": round(effective_size(balanced.groups)),
    }
    return Plan(
        NAME,
        ("repeats",),
        _decisions(kept, user_repeats, balanced),
        remarks=_remarks(balanced),
        notes=tuple(_notes(balanced, options)),
        counts=counts,
        table=tuple(_row(line, training) for line in balanced.lines),
    )


def _refuse_unknown(kept: Sequence[Image], weights: Mapping[str, float]) -> None:
    known = nodes(tree(Counter(image.concept for image in kept), {}))
    unknown = unmatched(known, weights)
    if unknown:
        raise PrepError(
            "\n".join(f"weights: no kept image is in {key!r}{suggest(key, _near(key, known))}" for key in unknown),
            "name a concept by its whole path, such as characters/fanart, or by a pattern, such as **/fanart",
        )


def _near(key: str, known: list[str]) -> list[str]:
    """What may have been meant: for a pattern the same one with another last level that is there, else paths."""
    above, slash, _ = key.rpartition("/")
    if "*" in above:
        patterns = {f"{above}{slash}{path.rpartition('/')[2]}": 1.0 for path in known}
        known = sorted(patterns.keys() - set(unmatched(known, patterns))) or known
    return known if len(known) <= LISTED else get_close_matches(key, known, 10, 0.2)


def balance(kept: Sequence[Image], user_repeats: Mapping[str, float], options: Options) -> Balanced:
    """Repeats of all kept images: those of `user_repeats` (path → repeats) keep theirs."""
    counts = Counter(image.concept for image in kept if image.path not in user_repeats)
    exact: dict[str, float] = {}
    held: frozenset[str] = frozenset()
    if counts:
        root = tree(counts, options.weights, options.exponent)
        exact = exact_repeats(root, counts, options.min_repeat, options.max_repeat)
        held = _held(exact, counts, shares(root), options.max_repeat)
    whole = whole_repeats(exact, counts, options.rounding)
    groups = [Group(concept, counts[concept], exact[concept], whole[concept]) for concept in sorted(counts)]
    own = Counter((image.concept, user_repeats[image.path]) for image in kept if image.path in user_repeats)
    groups += [
        Group(concept, images, value, whole_user_repeats(value, options.rounding), user_set=True)
        for (concept, value), images in sorted(own.items())
    ]
    return Balanced(tuple(groups), lines(groups, options.weights, options.exponent), exact, counts, held)


def whole_user_repeats(value: float, rounding: Rounding) -> int:
    """Whole repeats for those that a folder gave; they have no siblings to share remainders with."""
    return whole_repeats({"": value}, {"": 1}, "floor" if rounding == "floor" else "nearest")[""]


def _held(
    exact: Mapping[str, float], counts: Mapping[str, int], promised: Mapping[str, float], max_repeat: float | None
) -> frozenset[str]:
    """The concepts at the cap that get less than they were promised."""
    if max_repeat is None:
        return frozenset()
    total = math.fsum(exact[concept] * counts[concept] for concept in counts)
    return frozenset(
        concept
        for concept in counts
        if exact[concept] >= max_repeat * (1 - 1e-9)
        and exact[concept] * counts[concept] < promised[concept] * total * (1 - 1e-9)
    )


def _decisions(kept: Sequence[Image], user_repeats: Mapping[str, Decision], balanced: Balanced) -> tuple[Decision, ...]:
    targets = {line.path.removesuffix("/."): line.target for line in balanced.lines if line.leaf}
    alike: dict[object, tuple[Repeats, BalanceReason, Data]] = {}
    for group in balanced.groups:
        if group.user_set:
            value = Repeats(group.exact, group.repeat)
            alike[group.concept, group.exact] = value, BalanceReason.USER_SET, {"exact": group.exact}
            continue
        reason = BalanceReason.CAPPED if group.concept in balanced.held else BalanceReason.SHARE
        share = {"target": round(targets[group.concept], 9), "images": group.images, "concept": group.concept}
        alike[group.concept] = Repeats(round(group.exact, 9), group.repeat), reason, share
    found = []
    for image in kept:
        row = user_repeats.get(image.path)
        choice, why, data = alike[image.concept if row is None else (image.concept, float(row.value))]
        if row is not None:
            data = {**data, "source": (row.reason, row.data)}
        found.append(Decision(image.path, "repeats", choice, why, data))
    return tuple(found)


def _row(line: Line, training: float) -> dict[str, object]:
    """A node of the tree as the table shows it; `seen` is per image, in the planned training."""
    return {
        "concept": "  " * line.depth + line.path,
        "images": line.images,
        "weight": "user-set" if line.weight is None else f"{line.weight:g}",
        "promised": f"{line.target:.2%}",
        "share": f"{line.share:.2%}",
        "exact": _span([f"{value:.4g}" for value in line.exact]),
        "repeat": _span([str(value) for value in line.repeats]),
        "share in whole repeats": f"{line.rounded:.2%}",
        "seen": round(line.seen(training), 1),
    }


def _span(values: Sequence[str]) -> str:
    """One value, or the smallest to the largest of several."""
    return values[0] if len(values) == 1 else f"{values[0]}-{values[-1]}" if values else ""


# --- notes


def _remarks(balanced: Balanced) -> tuple[str, str]:
    """How many images the set counts as, and how well the shares are met."""
    images = sum(group.images for group in balanced.groups)
    effective = effective_size(balanced.groups)
    leaves = [line for line in balanced.lines if line.leaf]
    targets = [line.target for line in leaves]
    exact = variation([line.share for line in leaves], targets)
    rounded = variation([line.rounded for line in leaves], targets)
    return (
        f"{_images(images)} count as {_grouped(effective)} shown alike (effective sample size, "
        f"{effective / images:.1%} of all; before balancing it is all {_grouped(images)})",
        f"the shares are missed by {rounded:.1%} in all with whole repeats, by {exact:.1%} with exact repeats",
    )


def _notes(balanced: Balanced, options: Options) -> list[str]:
    leaves = [line for line in balanced.lines if line.leaf]
    return [
        *_user_set_notes(balanced, options),
        *_held_notes(leaves, options),
        *_few_notes(balanced.groups),
        *_large_notes(balanced.groups),
        *_rounding_notes(balanced, leaves, options),
    ]


def _user_set_notes(balanced: Balanced, options: Options) -> list[str]:
    """Which concepts keep what their folder gives, and which weights have nothing left to weigh because of it."""
    own = [group for group in balanced.groups if group.user_set]
    if not own:
        return []
    counted = sum(group.images for group in own)
    words = [f"{group.exact:.10g} of {group.concept}" for group in own]
    notes = [
        f"{_images(counted)} keep the exposures their folder gives them, whatever min_repeat and max_repeat are: "
        f"{_some(words)}; --user-repeats ignore balances them with the others"
    ]
    left = nodes(tree(balanced.counts, {})) if balanced.counts else []
    idle = unmatched(left, options.weights)
    if idle:
        notes.append(f"the weight of {_some(idle)} does nothing: all images there keep what their folder gives")
    return notes


def _held_notes(leaves: Sequence[Line], options: Options) -> list[str]:
    """What max_repeat costs the concepts that it holds."""
    short = [line for line in leaves if line.weight is not None and line.share < line.target * (1 - 1e-6)]
    if not short or options.max_repeat is None:
        return []
    lost = math.fsum(line.target - line.share for line in short)
    words = [f"{line.path} gets {line.share:.2%} instead of {line.target:.2%}" for line in short]
    return [f"max_repeat of {options.max_repeat:g} moves {lost:.1%} of an epoch to other concepts: {_some(words)}"]


def _few_notes(groups: Sequence[Group]) -> list[str]:
    """Concepts of which a few images are shown again and again, the most often shown first."""
    least = min((group.exact for group in groups if not group.user_set), default=min(group.exact for group in groups))
    epoch = epoch_exposures(groups)
    many = sorted((group for group in groups if group.exact >= MANY_REPEATS * least), key=lambda group: -group.exact)
    notes = [
        f"{_images(group.images)} of {group.concept} {'is' if group.images == 1 else 'are'} shown "
        f"{group.exact:.0f} times an epoch{' each' if group.images > 1 else ''}: that is "
        f"{_grouped(group.exact * group.images)} of {_grouped(epoch)} exposures; find more, or "
        + ("--user-repeats ignore" if group.user_set else f"--max-repeat {ADVISED_REPEATS * least:g}")
        for group in many[:SHOWN]
    ]
    if len(many) > SHOWN:
        notes.append(f"and so are {len(many) - SHOWN} other concepts, {MANY_REPEATS} times the least shown or more")
    return notes


def _large_notes(groups: Sequence[Group]) -> list[str]:
    """Concepts of which one image alone is a large part of an epoch, and more than twice an even part."""
    epoch, images = epoch_exposures(groups), sum(group.images for group in groups)
    large = [group for group in groups if group.exact / epoch > max(LARGE_PART, 2 / images)]
    words = [f"{group.concept}, {group.exact / epoch:.1%} each" for group in large]
    return [f"single images are more than {LARGE_PART:.0%} of an epoch: {_some(words)}"] if large else []


def _rounding_notes(balanced: Balanced, leaves: Sequence[Line], options: Options) -> list[str]:
    """How far whole repeats are from what exact ones give, and what comes closer."""
    far = [line for line in leaves if abs(line.rounded / line.share - 1) > FAR_OFF]
    notes = []
    if far:
        worst = max(far, key=lambda line: abs(line.rounded / line.share - 1))
        notes.append(
            f"whole repeats miss the share of {len(far)} of {len(leaves)} concepts by more than {FAR_OFF:.0%} of it, "
            f"most of all {worst.path}: {worst.rounded:.2%} instead of {worst.share:.2%}; "
            f"{_closer(balanced, options)} (prep train uses the exact ones)"
        )
    raised = sorted({group.concept for group in balanced.groups if group.repeat > group.exact + 0.5})
    if raised:
        notes.append(f"whole repeats are at least 1, more than the exact ones of {_some(raised)}")
    return notes


def _closer(balanced: Balanced, options: Options) -> str:
    """The rounding that misses least, if that is much less than the one at hand, else what makes all of them finer."""
    exact = [group.exact * group.images for group in balanced.groups]
    epoch = math.fsum(exact)
    missed = {}
    for rounding in typing.get_args(Rounding):
        whole = whole_repeats(balanced.exact, balanced.counts, rounding)
        shown = [
            group.images * (whole_user_repeats(group.exact, rounding) if group.user_set else whole[group.concept])
            for group in balanced.groups
        ]
        missed[rounding] = variation((each / epoch for each in exact), (each / sum(shown) for each in shown))
    best = min(missed, key=lambda rounding: missed[rounding])
    if missed[best] < 0.9 * missed[options.rounding]:
        return f"--rounding {best} misses them by {missed[best]:.1%} in all instead of {missed[options.rounding]:.1%}"
    return f"--min-repeat {2 * options.min_repeat:g} makes an epoch twice as long and comes closer"


def _some(names: Sequence[str]) -> str:
    return ", ".join(names[:SHOWN]) + (f" and {len(names) - SHOWN} more" if len(names) > SHOWN else "")


def _images(number: int) -> str:
    return f"{_grouped(number)} image" + ("" if number == 1 else "s")


def _grouped(number: float) -> str:
    """A whole number with its thousands set apart."""
    return f"{number:,.0f}".replace(",", " ")


STAGE = Stage(
    name=NAME,
    help=__doc__,
    options=Options,
    reads=("images", "keep", "user_repeats"),
    plan=plan,
)
