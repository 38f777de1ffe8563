"""Choose how often each picture is shown, so that every concept gets its share.

The folders of concepts are a tree: the whole is split among its branches, each branch among its own, by their weights
(1 each if not given), and pictures lying directly in a branch count as one more. Pictures of a concept with few of
them are shown more often. The exact figure is used by `prep train`, the whole one by exports to other trainers.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field

from pipeline.errors import PrepError
from pipeline.manifest import Manifest
from pipeline.records import Decision, Plan
from pipeline.settings import suggest
from pipeline.shares import Node, Rounding, multipliers, nodes, repeats, shares, tree

NAME = "balance"
READS: tuple[str, ...] = ("images", "keep")
MANY_REPEATS = 50


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    weights: Mapping[str, float] = field(default_factory=dict)
    """Concept path and its weight among its siblings, such as characters/fanart=2."""
    min_repeat: float = 1.0
    """How often a picture of the concept that needs it least is shown per epoch."""
    max_repeat: float | None = None
    """How often any picture is shown at most; what this cuts goes to the sibling concepts."""
    rounding: Rounding = "floor"
    """How whole repeats are made of the exact ones, for exports."""

    def __post_init__(self) -> None:
        for concept, weight in self.weights.items():
            if not (weight > 0 and math.isfinite(weight)):
                raise PrepError(
                    f"the weight of {concept} is {weight}",
                    "give a number above 0; prep check --drop leaves pictures out",
                )
        if not (self.min_repeat > 0 and math.isfinite(self.min_repeat)):
            raise PrepError(
                f"min_repeat is {self.min_repeat}", "give a number above 0; 1 shows every picture once or more"
            )
        if self.max_repeat is not None and not self.max_repeat >= self.min_repeat:
            raise PrepError(
                f"max_repeat is {self.max_repeat}, below min_repeat of {self.min_repeat}", "give a larger max_repeat"
            )


def plan(manifest: Manifest, options: Options) -> Plan:
    """One multiplier for every kept picture."""
    kept = manifest.kept()
    counts = Counter(image.concept for image in kept)
    if not counts:
        return Plan(NAME, ("multiplier",), notes=("no picture is kept, so there is nothing to balance",))
    root = tree(counts, options.weights)
    _known_weights(root, options.weights)
    promised = shares(root)
    exact = multipliers(root, counts, options.min_repeat, options.max_repeat)
    whole = repeats(exact, counts, options.rounding)
    total = sum(exact[concept] * counts[concept] for concept in counts)
    decisions = []
    for image in kept:
        concept = image.concept
        capped = (
            options.max_repeat is not None
            and exact[concept] >= options.max_repeat * (1 - 1e-9)
            and exact[concept] * counts[concept] / total < promised[concept] * (1 - 1e-9)
        )
        value = {"exact": round(exact[concept], 9), "repeat": whole[concept]}
        reason = "held at max_repeat" if capped else "share of its concept"
        decisions.append(
            Decision(
                image.path,
                "multiplier",
                value,
                reason,
                f"{promised[concept]:.2%} promised, {counts[concept]} pictures of {concept}",
            )
        )
    return Plan(
        NAME,
        ("multiplier",),
        tuple(decisions),
        notes=tuple(_notes(counts, exact, whole, promised)),
        table=tuple(_table(counts, promised, exact, whole)),
    )


def _known_weights(root: Node, weights: Mapping[str, float]) -> None:
    known = nodes(root)
    unknown = [concept for concept in weights if concept not in known]
    if unknown:
        raise PrepError(
            "\n".join(f"weights: no kept picture is in {name!r}{suggest(name, known)}" for name in unknown),
            "name a concept by its whole path, such as characters/fanart",
        )


def _table(
    counts: Mapping[str, int], promised: Mapping[str, float], exact: Mapping[str, float], whole: Mapping[str, int]
) -> list[dict[str, object]]:
    """One row per concept: what it was promised, and what exact and whole repeats give it."""
    total = sum(exact[name] * counts[name] for name in counts)
    whole_total = sum(whole[name] * counts[name] for name in counts)
    return [
        {
            "concept": name,
            "pictures": counts[name],
            "promised": f"{promised[name]:.2%}",
            "exact": round(exact[name], 4),
            "share": f"{exact[name] * counts[name] / total:.2%}",
            "repeat": whole[name],
            "share in whole repeats": f"{whole[name] * counts[name] / whole_total:.2%}",
        }
        for name in sorted(counts)
    ]


def _notes(
    counts: Mapping[str, int], exact: Mapping[str, float], whole: Mapping[str, int], promised: Mapping[str, float]
) -> list[str]:
    notes = [
        f"every picture of {name} is shown {exact[name]:.0f} times per epoch: {counts[name]} pictures "
        f"for {promised[name]:.1%}; find more of them, or set max_repeat"
        for name in sorted(counts)
        if exact[name] >= MANY_REPEATS
    ]
    raised = sorted(name for name in counts if whole[name] > exact[name] + 0.5)
    if raised:
        more = " …" if len(raised) > 5 else ""
        notes.append(f"whole repeats are at least 1, more than the exact ones of {', '.join(raised[:5])}{more}")
    return notes
