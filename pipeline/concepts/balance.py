"""Balancing: the repeats that give every concept its share, and the images whose folder sets its own."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from difflib import get_close_matches

from pipeline.concepts.exposure import Group, Line, lines
from pipeline.concepts.shares import Rounding, exact_repeats, nodes, shares, tree, unmatched, whole_repeats
from pipeline.config.settings import suggest
from pipeline.core.errors import PrepError
from pipeline.store.reasons.balance import BalanceReason
from pipeline.store.reasons.placement import RepeatsSource
from pipeline.store.reasons.reason import Data
from pipeline.store.records import Decision, Image
from pipeline.store.values.repeats import Repeats

LISTED = 30
"""Paths that an error names; of more it names the ten nearest."""


@dataclass(frozen=True, slots=True, kw_only=True)
class BalanceRules:
    """What a person asks of shares and repeats; the options of `prep balance` say what each means."""

    weights: Mapping[str, float]
    exponent: float
    min_repeat: float
    max_repeat: float | None
    rounding: Rounding


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


def refuse_unknown(kept: Sequence[Image], weights: Mapping[str, float]) -> None:
    """Refuse weights of concepts that no kept image is in.

    Raises:
        PrepError: there are such weights.
    """
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


def balance(kept: Sequence[Image], user_repeats: Mapping[str, float], rules: BalanceRules) -> Balanced:
    """Repeats of all kept images: those of `user_repeats` (path → repeats) keep theirs."""
    counts = Counter(image.concept for image in kept if image.path not in user_repeats)
    exact: dict[str, float] = {}
    held: frozenset[str] = frozenset()
    if counts:
        root = tree(counts, rules.weights, rules.exponent)
        exact = exact_repeats(root, counts, rules.min_repeat, rules.max_repeat)
        held = _held(exact, counts, shares(root), rules.max_repeat)
    whole = whole_repeats(exact, counts, rules.rounding)
    groups = [Group(concept, counts[concept], exact[concept], whole[concept]) for concept in sorted(counts)]
    own = Counter((image.concept, user_repeats[image.path]) for image in kept if image.path in user_repeats)
    groups += [
        Group(concept, images, value, whole_user_repeats(value, rules.rounding), user_set=True)
        for (concept, value), images in sorted(own.items())
    ]
    return Balanced(tuple(groups), lines(groups, rules.weights, rules.exponent), exact, counts, held)


def whole_user_repeats(value: float, rounding: Rounding) -> int:
    """Whole repeats for those that a folder gave; they have no siblings to share remainders with."""
    return whole_repeats({"": value}, {"": 1}, "floor" if rounding == "floor" else "nearest")[""]


def _held(
    exact: Mapping[str, float], counts: Mapping[str, int], target_shares: Mapping[str, float], max_repeat: float | None
) -> frozenset[str]:
    """The concepts at the cap that get less than they were to get."""
    if max_repeat is None:
        return frozenset()
    total = math.fsum(exact[concept] * counts[concept] for concept in counts)
    return frozenset(
        concept
        for concept in counts
        if exact[concept] >= max_repeat * (1 - 1e-9)
        and exact[concept] * counts[concept] < target_shares[concept] * total * (1 - 1e-9)
    )


def repeats_rows(
    kept: Sequence[Image], user_repeats: Mapping[str, Decision], balanced: Balanced
) -> tuple[Decision, ...]:
    """A decision for every kept image; `user_repeats` are those of images that keep what their folder sets."""
    targets = {line.path.removesuffix("/."): line.target for line in balanced.lines if line.leaf}
    alike: dict[object, tuple[Repeats, BalanceReason, Data]] = {}
    for group in balanced.groups:
        if group.user_set:
            value = Repeats(group.exact, group.repeat)
            alike[group.concept, group.exact] = value, BalanceReason.USER_SET, {"exact": group.exact}
            continue
        reason = BalanceReason.CAPPED if group.concept in balanced.held else BalanceReason.SHARE
        share = {"target": round(targets[group.concept], 4), "images": group.images, "concept": group.concept}
        alike[group.concept] = Repeats(round(group.exact, 9), group.repeat), reason, share
    found = []
    for image in kept:
        row = user_repeats.get(image.path)
        choice, why, data = alike[image.concept if row is None else (image.concept, float(row.value))]
        if row is not None:
            data = {**data, "source": (row.reason, row.data)}
            why = BalanceReason.CHOSEN if row.reason == RepeatsSource.BY_PERSON else why
        found.append(Decision(image.path, "repeats", choice, why, data))
    return tuple(found)
