"""What was excluded and what was kept with a note, by reason."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import groupby

from pipeline.report.dataset.facts import Facts, Verdict

MOST_SHOWN = 36


@dataclass(frozen=True, slots=True)
class ReasonGroup:
    """The files of one reason: how many, the first of them, and how many more there are."""

    reason: str
    number: int
    shown: tuple[Verdict, ...]
    rest: int


@dataclass(frozen=True, slots=True)
class ExcludedView:
    files: int
    number: int
    excluded: tuple[ReasonGroup, ...]
    noted: tuple[ReasonGroup, ...]


def excluded_view(facts: Facts) -> ExcludedView | None:
    """None where there are no files yet."""
    if not facts.files:
        return None
    return ExcludedView(facts.files, len(facts.excluded), _by_reason(facts.excluded), _by_reason(facts.noted))


def _by_reason(found: tuple[Verdict, ...]) -> tuple[ReasonGroup, ...]:
    return tuple(_group(reason, list(group)) for reason, group in groupby(found, lambda verdict: verdict.reason))


def _group(reason: str, found: list[Verdict]) -> ReasonGroup:
    shown = tuple(found[:MOST_SHOWN])
    return ReasonGroup(reason, len(found), shown, len(found) - len(shown))
