"""The concepts of a run: a few of their images, their target and actual shares, exposures and losses."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from pipeline.report.run.facts import RunFacts
from pipeline.store.training_log import Row, Tally, by_concept

REFERENCES = 4


@dataclass(frozen=True, slots=True, kw_only=True)
class ConceptView:
    """A concept. `images` are all of it, `trained` those that are not held out; `target` is their part of all repeats,
    None where these are not known, `actual` their part of all exposures; `per_image` the exposures of each."""

    name: str
    images: int
    references: tuple[tuple[str, Path | None], ...]
    trained: int
    target: float | None
    actual: float
    exposures: int
    per_image: float | None
    loss: float | None
    reg_images: int


def concepts_view(facts: RunFacts) -> tuple[ConceptView, ...] | None:
    """The concepts by name, None where the run's images are not known."""
    found: dict[str, list[Row]] = defaultdict(list)
    for each in facts.rows:
        found[each.concept].append(each)
    tallies = by_concept(
        {each.path: each.tally for each in facts.rows}, {each.path: each.concept for each in facts.rows}
    )
    trained = {name: [each for each in rows if each.path not in facts.held_out] for name, rows in found.items()}
    repeats = {name: sum(each.repeats or 0.0 for each in rows) for name, rows in trained.items()}
    exposures = sum(tally.exposures for tally in tallies.values())
    whole = sum(repeats.values())
    return (
        tuple(
            _concept(
                facts.root,
                found[name],
                len(trained[name]),
                tally,
                target=repeats[name] / whole if whole else None,
                actual=tally.exposures / exposures if exposures else 0.0,
            )
            for name, tally in tallies.items()
        )
        or None
    )


def _concept(
    root: Path, rows: Sequence[Row], trained: int, tally: Tally, *, target: float | None, actual: float
) -> ConceptView:
    spread = rows[:: max(1, len(rows) // REFERENCES)][:REFERENCES]
    return ConceptView(
        name=rows[0].concept or "not known",
        images=len(rows),
        references=tuple((Path(each.path).name, _inside(root, each.path)) for each in spread),
        trained=trained,
        target=target,
        actual=actual,
        exposures=tally.exposures,
        per_image=tally.exposures / trained if trained else None,
        loss=tally.loss,
        reg_images=tally.reg_images,
    )


def _inside(root: Path, path: str) -> Path | None:
    """A file of the set by its path in it; None for a path that leads out of it."""
    file = root / path
    return file if file.resolve().is_relative_to(root.resolve()) else None
