"""An adapter in figures, to be shown before a run."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from torch import nn

PARTS = ("unet", "te", "te1", "te2")


@dataclass(frozen=True, slots=True)
class Figures:
    """One part of the model: how many modules hang on it, how many numbers they train, and (alpha, rank, how many) of
    those with a rank; alpha / rank is what they act with."""

    part: str
    modules: int
    numbers: int
    scales: tuple[tuple[float, int, int], ...]

    def __str__(self) -> str:
        scales = ", ".join(f"{alpha:g}/{rank} = {alpha / rank:g} ({count})" for alpha, rank, count in self.scales)
        return f"{self.part}: {self.modules} modules, {self.numbers:,} numbers" + (
            f", scale {scales}" if scales else ""
        )


def figures_of(layers: Mapping[str, nn.Module] | nn.ModuleDict) -> tuple[Figures, ...]:
    """The figures of every part that has modules."""
    found = []
    for part in PARTS:
        modules = [module for name, module in layers.items() if name.startswith(f"lora_{part}_")]
        scales = Counter(found_scale for module in modules if (found_scale := scale_of(module)))
        if modules:
            numbers = sum(weight.numel() for module in modules for weight in module.parameters())
            found.append(Figures(part, len(modules), numbers, tuple((*key, count) for key, count in scales.items())))
    return tuple(found)


def scale_of(module: Any) -> tuple[float, int] | None:
    """(alpha, rank) of a module that has them."""
    return (float(module.alpha), module.rank) if getattr(module, "rank", 0) else None
