"""How much of what adapters do a lower rank leaves out."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Any


@dataclass(slots=True)
class Residual:
    """Squared Frobenius norms by block: what is left out, and of how much."""

    blocks: dict[str, tuple[float, float]] = field(default_factory=dict)

    def add(self, block: str, lost: float, whole: float) -> None:
        before, of = self.blocks.get(block, (0.0, 0.0))
        self.blocks[block] = before + lost, of + whole

    @property
    def total(self) -> float:
        """‖left out‖ / ‖whole‖ over all layers, 0 for an adapter that does nothing."""
        lost, whole = (sum(pair[index] for pair in self.blocks.values()) for index in (0, 1))
        return math.sqrt(lost / whole) if whole else 0.0

    def rows(self) -> list[dict[str, Any]]:
        """A row per block, its norm and the share of it that is left out."""
        return [
            {"block": block, "norm": math.sqrt(whole), "residual": math.sqrt(lost / whole) if whole else 0.0}
            for block, (lost, whole) in sorted(self.blocks.items())
        ]
