"""What a person should know about a balanced set: the table of its concepts, and where shares are missed."""

from __future__ import annotations

import math
import typing
from collections.abc import Sequence

from pipeline.concepts.balance import Balanced, BalanceRules, whole_user_repeats
from pipeline.concepts.exposure import Group, Line, effective_size, epoch_exposures, variation
from pipeline.concepts.shares import Rounding, nodes, tree, unmatched, whole_repeats

MANY_REPEATS = 50
"""Times the least shown image's exposures above which a concept is warned of; the cap then advised is 20 times."""
ADVISED_REPEATS = 20
SHOWN = 5
"""Concepts that a warning names."""
LARGE_PART = 0.05
FAR_OFF = 0.2


def row(line: Line, training: float) -> dict[str, object]:
    """A node of the tree as the table shows it; `seen` is per image, in the planned training."""
    return {
        "concept": "  " * line.depth + line.path,
        "images": line.images,
        "weight": "user-set" if line.weight is None else f"{line.weight:g}",
        "target": f"{line.target:.2%}",
        "share": f"{line.share:.2%}",
        "exact": _span([f"{value:.4g}" for value in line.exact]),
        "repeat": _span([str(value) for value in line.repeats]),
        "share in whole repeats": f"{line.rounded:.2%}",
        "seen": round(line.seen(training), 1),
    }


def _span(values: Sequence[str]) -> str:
    """One value, or the smallest to the largest of several."""
    return values[0] if len(values) == 1 else f"{values[0]}-{values[-1]}" if values else ""


def info(balanced: Balanced) -> tuple[str, str]:
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


def warnings(balanced: Balanced, rules: BalanceRules) -> list[str]:
    """Warnings: what keeps concepts from their shares, and what a few images cost."""
    leaves = [line for line in balanced.lines if line.leaf]
    return [
        *_user_set_notes(balanced, rules),
        *_held_notes(leaves, rules),
        *_few_notes(balanced.groups),
        *_large_notes(balanced.groups),
        *_rounding_notes(balanced, leaves, rules),
    ]


def _user_set_notes(balanced: Balanced, rules: BalanceRules) -> list[str]:
    """Which concepts keep what their folder gives, and which weights have nothing left to weigh because of it."""
    own = [group for group in balanced.groups if group.user_set]
    if not own:
        return []
    counted = sum(group.images for group in own)
    words = [f"{group.exact:.10g} of {group.concept}" for group in own]
    warnings = [
        f"{_images(counted)} keep the exposures their folder gives them, whatever min_repeat and max_repeat are: "
        f"{_some(words)}; --user-repeats ignore balances them with the others"
    ]
    left = nodes(tree(balanced.counts, {})) if balanced.counts else []
    idle = unmatched(left, rules.weights)
    if idle:
        warnings.append(f"the weight of {_some(idle)} does nothing: all images there keep what their folder gives")
    return warnings


def _held_notes(leaves: Sequence[Line], rules: BalanceRules) -> list[str]:
    """What max_repeat costs the concepts that it holds."""
    short = [line for line in leaves if line.weight is not None and line.share < line.target * (1 - 1e-6)]
    if not short or rules.max_repeat is None:
        return []
    lost = math.fsum(line.target - line.share for line in short)
    words = [f"{line.path} gets {line.share:.2%} instead of {line.target:.2%}" for line in short]
    return [f"max_repeat of {rules.max_repeat:g} moves {lost:.1%} of an epoch to other concepts: {_some(words)}"]


def _few_notes(groups: Sequence[Group]) -> list[str]:
    """Concepts of which a few images are shown again and again, the most often shown first."""
    least = min((group.exact for group in groups if not group.user_set), default=min(group.exact for group in groups))
    epoch = epoch_exposures(groups)
    many = sorted((group for group in groups if group.exact >= MANY_REPEATS * least), key=lambda group: -group.exact)
    warnings = [
        f"{_images(group.images)} of {group.concept} {'is' if group.images == 1 else 'are'} shown "
        f"{group.exact:.0f} times an epoch{' each' if group.images > 1 else ''}: that is "
        f"{_grouped(group.exact * group.images)} of {_grouped(epoch)} exposures; find more, or "
        + ("--user-repeats ignore" if group.user_set else f"--max-repeat {ADVISED_REPEATS * least:g}")
        for group in many[:SHOWN]
    ]
    if len(many) > SHOWN:
        warnings.append(f"and so are {len(many) - SHOWN} other concepts, {MANY_REPEATS} times the least shown or more")
    return warnings


def _large_notes(groups: Sequence[Group]) -> list[str]:
    """Concepts of which one image alone is a large part of an epoch, and more than twice an even part."""
    epoch, images = epoch_exposures(groups), sum(group.images for group in groups)
    large = [group for group in groups if group.exact / epoch > max(LARGE_PART, 2 / images)]
    words = [f"{group.concept}, {group.exact / epoch:.1%} each" for group in large]
    return [f"single images are more than {LARGE_PART:.0%} of an epoch: {_some(words)}"] if large else []


def _rounding_notes(balanced: Balanced, leaves: Sequence[Line], rules: BalanceRules) -> list[str]:
    """How far whole repeats are from what exact ones give, and what comes closer."""
    far = [line for line in leaves if abs(line.rounded / line.share - 1) > FAR_OFF]
    warnings = []
    if far:
        worst = max(far, key=lambda line: abs(line.rounded / line.share - 1))
        warnings.append(
            f"whole repeats miss the share of {len(far)} of {len(leaves)} concepts by more than {FAR_OFF:.0%} of it, "
            f"most of all {worst.path}: {worst.rounded:.2%} instead of {worst.share:.2%}; "
            f"{_closer(balanced, rules)} (prep train uses the exact ones)"
        )
    raised = sorted({group.concept for group in balanced.groups if group.repeat > group.exact + 0.5})
    if raised:
        warnings.append(f"whole repeats are at least 1, more than the exact ones of {_some(raised)}")
    return warnings


def _closer(balanced: Balanced, rules: BalanceRules) -> str:
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
    if missed[best] < 0.9 * missed[rules.rounding]:
        return f"--rounding {best} misses them by {missed[best]:.1%} in all instead of {missed[rules.rounding]:.1%}"
    return f"--min-repeat {2 * rules.min_repeat:g} makes an epoch twice as long and comes closer"


def _some(names: Sequence[str]) -> str:
    return ", ".join(names[:SHOWN]) + (f" and {len(names) - SHOWN} more" if len(names) > SHOWN else "")


def _images(number: int) -> str:
    return f"{_grouped(number)} image" + ("" if number == 1 else "s")


def _grouped(number: float) -> str:
    """A whole number with its thousands set apart."""
    return f"{number:,.0f}".replace(",", " ")
