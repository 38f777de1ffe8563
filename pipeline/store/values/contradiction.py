"""Tags of an image that contradict the others of its concept, or each other."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any, Literal

Fix = Literal["replace", "drop", "add", "look"]
"""Put the dominant value in place of the rival, leave the rival out, add the dominant value, or look: nothing tells."""


@dataclass(frozen=True, slots=True)
class Contradiction:
    """What is odd about one attribute of one image: it carries `rival`, "" where it lacks the attribute.

    `score` and `dominant_score` are the tagger's probabilities here; None is too low to have been kept. `images` of the
    `total` images of `subject` fill the attribute with `dominant`; 0 where two values of one image contradict.
    `fixed` says that curation carried out the fix.
    """

    attribute: str
    dominant: str
    rival: str
    score: float | None
    dominant_score: float | None
    fix: Fix
    subject: str = ""
    images: int = 0
    total: int = 0
    fixed: bool = False

    @property
    def share(self) -> float | None:
        return self.images / self.total if self.total else None

    @property
    def data(self) -> dict[str, Any]:
        """What a reason has to say of it, as exact as it is shown."""
        data = {key: held for key, held in asdict(self).items() if key != "fixed"}
        scores = {key: round(data[key], 2) for key in ("score", "dominant_score") if data[key] is not None}
        return {**data, **scores}

    def to_json(self) -> dict[str, Any]:
        return asdict(self)

    @classmethod
    def from_json(cls, value: dict[str, Any]) -> Contradiction:
        return cls(**value)


def contradictions_from_json(found: list[dict[str, Any]]) -> tuple[Contradiction, ...]:
    return tuple(map(Contradiction.from_json, found))
