"""How often an image is shown in an epoch."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Repeats:
    """`exact` is what this trainer uses, `exported` the whole number for trainers that know no other."""

    exact: float
    exported: int

    def to_json(self) -> dict[str, Any]:
        return {"exact": self.exact, "exported": self.exported}

    @classmethod
    def from_json(cls, value: dict[str, Any]) -> Repeats:
        exact, exported = float(value["exact"]), int(value["exported"])
        if not (math.isfinite(exact) and exact >= 0 and exported >= 0):
            raise ValueError("repeats are numbers of 0 or more")
        return cls(exact, exported)
