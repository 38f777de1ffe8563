"""An adapter in figures, to be shown before a run; no torch here."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass

PARTS = ("unet", "te", "te1", "te2")
Scales = tuple[tuple[float, int, int], ...]
"""(alpha, rank, how many modules) each."""


@dataclass(frozen=True, slots=True)
class Module:
    """One layer's adapter: the part of the model it is attached to, whether to a convolution larger than 1×1, how many
    parameters it trains, and its alpha and rank where it acts with alpha / rank."""

    part: str
    large: bool
    parameters: int
    scale: tuple[float, int] | None


@dataclass(frozen=True, slots=True)
class ParameterSummary:
    """One part of the model: how many modules are attached to it, how many parameters they train, and the scales of those
    on linear layers and 1×1 convolutions, and of those on larger convolutions; alpha / rank is what they act with."""

    part: str
    modules: int
    parameters: int
    linear: Scales
    large: Scales

    @property
    def scales(self) -> Scales:
        return (*self.linear, *self.large)

    def __str__(self) -> str:
        words = ("", "") if not (self.linear and self.large) else (" linear layers", " convolutions")
        shown = [
            f"{alpha:g}/{rank} = {alpha / rank:.4g} ({count}{word})"
            for scales, word in zip((self.linear, self.large), words, strict=True)
            for alpha, rank, count in scales
        ]
        start = f"{self.part}: {self.modules} modules, {self.parameters:,} parameters"
        return start + (f", scale {', '.join(shown)}" if shown else "")


def acting(alpha: float, rank: int) -> tuple[float, int]:
    """Alpha and rank as they are shown and counted, without what float32 adds to alpha."""
    return float(f"{alpha:.6g}"), rank


def figures_of(modules: Iterable[Module]) -> tuple[ParameterSummary, ...]:
    """The figures of every part that has modules."""
    by_part: dict[str, list[Module]] = {}
    for module in modules:
        by_part.setdefault(module.part, []).append(module)
    return tuple(
        ParameterSummary(
            part,
            len(by_part[part]),
            sum(module.parameters for module in by_part[part]),
            *(_scales(module for module in by_part[part] if module.large is large) for large in (False, True)),
        )
        for part in PARTS
        if part in by_part
    )


def _scales(modules: Iterable[Module]) -> Scales:
    counted = Counter(module.scale for module in modules if module.scale)
    return tuple((*scale, count) for scale, count in counted.items())
