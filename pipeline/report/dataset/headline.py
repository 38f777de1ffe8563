"""The top of a set's page: what was found wrong with the files, and what the adapter learned."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass

from pipeline.report.dataset.facts import Facts
from pipeline.report.dataset.samples import Learned, Recall

MOST_REASONS = 6


@dataclass(frozen=True, slots=True)
class ReasonCount:
    """How many files were excluded for a reason; `share` compares it with the most frequent one."""

    reason: str
    number: int
    share: float


@dataclass(frozen=True, slots=True)
class TriggerRecall:
    """The share (0..1) of a trigger word's traits that is found, without the adapter and with it."""

    trigger: str
    before: float
    after: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Headline:
    """`last` is the day of the last run of a stage, "" before the first; `tags` how often tags were kept, added,
    renamed or dropped, None before they were considered; `recall` is None where it was not measured."""

    kept: int
    triggers: int
    last: str
    files: int
    excluded: int
    reasons: tuple[ReasonCount, ...]
    other_reasons: int
    noted: int
    tags: Mapping[str, int] | None
    recall: Recall | None
    by_trigger: tuple[TriggerRecall, ...]
    pairs: int


def headline(facts: Facts, learned: Learned) -> Headline:
    reasons = Counter(verdict.reason for verdict in facts.excluded)
    most = max(reasons.values(), default=1)
    recalls = {word: learned.recall(word) for word in learned.triggers()}
    return Headline(
        kept=facts.kept,
        triggers=len(facts.triggers),
        last=max((run.started for run in facts.runs), default="")[:10],
        files=facts.files,
        excluded=len(facts.excluded),
        reasons=tuple(ReasonCount(reason, count, count / most) for reason, count in reasons.most_common(MOST_REASONS)),
        other_reasons=max(0, len(reasons) - MOST_REASONS),
        noted=len(facts.noted),
        tags={"dropped": 0, "added": 0} | dict(facts.actions) if facts.actions else None,
        recall=learned.recall(),
        by_trigger=tuple(TriggerRecall(word, *found) for word, found in recalls.items() if found is not None),
        pairs=len(learned.samples),
    )
