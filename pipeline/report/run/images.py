"""How often each image of a run was seen."""

from __future__ import annotations

from dataclasses import dataclass

from pipeline.report.run.facts import RunFacts
from pipeline.store.training_log import Row

MOST_ROWS = 5000
"""Images that the table has at most; more would make a page that no browser likes."""


@dataclass(frozen=True, slots=True)
class ImagesView:
    """`rows` are those seen least first, of `total` images."""

    rows: tuple[Row, ...]
    total: int
    held_out: frozenset[str]


def images_view(facts: RunFacts) -> ImagesView | None:
    """None where the run's images are not known."""
    order = sorted(facts.rows, key=lambda each: (each.tally.exposures, each.path))
    return ImagesView(tuple(order[:MOST_ROWS]), len(order), facts.held_out) if order else None
