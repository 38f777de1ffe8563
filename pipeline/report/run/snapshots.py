"""The saved adapters of a run, and which of them to use."""

from __future__ import annotations

from dataclasses import dataclass

from pipeline.core.humanize import counted, grouped
from pipeline.report.run.facts import HELD_OUT, TRAIN_SUBSET, RunFacts, Saved


@dataclass(frozen=True, slots=True)
class SnapshotRow:
    saved: Saved
    recommended: bool


def snapshots_view(facts: RunFacts) -> tuple[SnapshotRow, ...] | None:
    """Every adapter in the order in which they were saved, None where there is none."""
    best, _ = recommended(facts)
    return tuple(SnapshotRow(each, each is best) for each in facts.snapshots) or None


def recommended(facts: RunFacts) -> tuple[Saved | None, str]:
    """The snapshot to use, and why in words."""
    if not facts.snapshots:
        return None, "None is saved yet."
    best = next((each for each in facts.snapshots if each.best and each.validation is not None), None)
    last = facts.snapshots[-1]
    if best is None or best.validation is None:
        return last, "It is the last. No validation loss says which is best: compare their samples."
    held_out = any(each.get(HELD_OUT) is not None for each in facts.validations)
    where = "on images held out of training" if held_out else "on images it was trained on"
    evaluated = sum(each.validation is not None for each in facts.snapshots)
    words = f"Its loss {where}, {best.validation:.4g}, is the lowest of {counted(evaluated, 'snapshot')} evaluated."
    if last.validation is not None and last is not best:
        words += f" The last, after step {grouped(last.step)}, has {last.validation:.4g}."
    if not held_out:
        words += " That loss keeps falling while images are memorized, so compare the samples too."
    return best, words + _between(facts, best, HELD_OUT if held_out else TRAIN_SUBSET)


def _between(facts: RunFacts, best: Saved, split: str) -> str:
    """A word about a lower loss at a step where nothing was saved."""
    losses = [(float(each[split]), each["step"]) for each in facts.validations if each.get(split) is not None]
    lowest, step = min(losses, default=(best.validation or 0.0, best.step))
    if best.validation is None or lowest >= best.validation or step in {each.step for each in facts.snapshots}:
        return ""
    return f" Between snapshots, at step {grouped(step)}, it was lower still: {lowest:.4g}."
