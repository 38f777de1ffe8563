"""The figures of a grid: its images seen by a tagger, beside what the set says of its trigger words."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from pipeline.cli import console
from pipeline.cli.commands.grid.source import Source
from pipeline.core.errors import PrepError

if TYPE_CHECKING:
    from pipeline.report.grid.facts import GridFacts
    from pipeline.report.grid.figures import Figures


@dataclass(frozen=True, slots=True)
class Looking:
    """The tagger that looks at the images, and what a set says of its trigger words; whether the person named it."""

    tagger: str
    traits: Mapping[str, Sequence[str]]
    training: Mapping[str, str]
    asked: bool


def looking_with(source: Source, tagger: str | None) -> Looking | None:
    """What looks at the images, if anything does."""
    model = source.tagger if tagger is None else tagger
    return None if model in ("", "none") else Looking(model, source.traits, source.training, asked=tagger is not None)


def grid_figures(facts: GridFacts, looking: Looking, device: str) -> Figures | None:
    """The grid's figures; a set's own tagger that cannot be had is a warning, one that was asked for an error."""
    from pipeline.report.grid.figures import figures_of
    from pipeline.report.grid.measures import Known, nearest
    from pipeline.report.grid.scores import seen_in
    from taggers.errors import TaggerError

    try:
        with console.progress_bars() as bars:
            scores = seen_in(facts.folder, [cell["image"] for cell in facts.cells], looking.tagger, device, bars)
    except TaggerError as error:
        if looking.asked:
            raise PrepError(str(error), "give another --tagger, or none") from error
        console.warn(f"the images are not measured: {error}")
        return None
    known = Known(looking.traits, scores.vocabulary, scores.threshold, nearest(scores.images, looking.training))
    return figures_of(facts, scores, known)
