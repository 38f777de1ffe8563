"""The top of a run's page: what was trained, how far it came, which snapshot to use, and what was seen."""

from __future__ import annotations

from dataclasses import dataclass

from pipeline.core.humanize import counted, grouped
from pipeline.report.run.facts import RunFacts, part
from pipeline.report.run.snapshots import recommended


@dataclass(frozen=True, slots=True, kw_only=True)
class Headline:
    """`recommended` is the file of the snapshot to use, "" where there is none; `never` counts images that were
    neither seen nor held out."""

    name: str
    words: tuple[str, ...]
    problems: tuple[str, ...]
    recommended: str
    reason: str
    exposures: int
    images: int
    epochs: int
    reg_exposures: int
    held_out: int
    never: int


def headline(facts: RunFacts) -> Headline:
    snapshot, reason = recommended(facts)
    words = (_what(facts), _state(facts), str(facts.about.get("device", "")))
    return Headline(
        name=facts.folder.resolve().name,
        words=tuple(word for word in words if word),
        problems=(*facts.problems, *_missing_steps(facts)),
        recommended=snapshot.file if snapshot else "",
        reason=reason,
        exposures=sum(row.tally.exposures for row in facts.rows),
        images=sum(row.tally.exposures > 0 for row in facts.rows),
        epochs=facts.figures.epochs,
        reg_exposures=sum(row.tally.reg_images for row in facts.rows),
        held_out=len(facts.held_out),
        never=sum(not row.tally.exposures and row.path not in facts.held_out for row in facts.rows),
    )


def _what(facts: RunFacts) -> str:
    algorithm, rank, base = (facts.setting(name) for name in ("algorithm", "rank", "base"))
    return f"{algorithm} of rank {rank} on {base}" if algorithm else ""


def _state(facts: RunFacts) -> str:
    finished = part(facts.about, "result").get("finished")
    done, planned = facts.figures.last, facts.about.get("steps")
    if finished:
        return f"{counted(done, 'step')} · finished {str(finished)[:16].replace('T', ' ')} UTC"
    of = f" of {grouped(planned)}" if isinstance(planned, int) else ""
    return f"{grouped(done)}{of} steps logged; not finished: in progress, or stopped"


def _missing_steps(facts: RunFacts) -> tuple[str, ...]:
    missing = facts.figures.missing
    if not missing:
        return ()
    named = ", ".join(f"{first}–{last}" for first, last in missing[:5])
    more = " and others" if len(missing) > 5 else ""
    return (f"Steps {named}{more} are not in log.jsonl: their exposures are not counted here.",)
