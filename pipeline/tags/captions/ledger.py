"""What became of every tag of one image, and why."""

from __future__ import annotations

from collections.abc import Iterable

from pipeline.store.reasons.reason import Data
from pipeline.store.reasons.tags import TagCause, TagReason
from pipeline.store.values.tags import TagAction, TagDecision

Verdict = tuple[TagAction, TagReason, Data]


class Ledger:
    """The tags of an image while rules work on them. `alive` is tag → probability of those still in the caption,
    `below` of those that were considered and did not reach their threshold."""

    __slots__ = ("_verdicts", "alive", "below")

    def __init__(self) -> None:
        self.alive: dict[str, float] = {}
        self.below: dict[str, float] = {}
        self._verdicts: dict[str, Verdict] = {}

    def consider(self, choices: Iterable[tuple[str, float, bool, TagCause]]) -> None:
        """Take in (tag, probability, whether it reached its threshold, why) of many tags."""
        alive, below, verdicts = self.alive, self.below, self._verdicts
        kept, dropped = TagAction.KEPT, TagAction.DROPPED
        for tag, score, chosen, (reason, data) in choices:
            if chosen:
                alive[tag] = score
                verdicts[tag] = (kept, reason, data)
            else:
                below[tag] = score
                verdicts[tag] = (dropped, reason, data)

    def copy(self) -> Ledger:
        """Another ledger that says the same so far."""
        made = Ledger()
        made.alive, made.below, made._verdicts = dict(self.alive), dict(self.below), dict(self._verdicts)
        return made

    def keep(self, tag: str, score: float, cause: TagCause) -> None:
        self.alive[tag] = score
        self._verdicts[tag] = (TagAction.KEPT, *cause)

    def add(self, tag: str, score: float, cause: TagCause) -> None:
        """A tag that no score or person gave; what a tagger gave as well stays its own."""
        if tag not in self.alive:
            self.alive[tag] = score
            self._verdicts[tag] = (TagAction.ADDED, *cause)

    def drop(self, tag: str, cause: TagCause) -> None:
        self.alive.pop(tag, None)
        self._verdicts[tag] = (TagAction.DROPPED, *cause)

    def is_core(self, tag: str) -> bool:
        """Whether a tag was pruned into a trigger word."""
        return self._verdicts.get(tag, (None, None))[1] == TagReason.CORE

    def rename(self, tag: str, into: str, cause: TagCause) -> None:
        score = self.alive.pop(tag)
        self._verdicts[tag] = (TagAction.RENAMED, cause.reason, {"to": into, **cause.data})
        before = self.alive.get(into)
        self.alive[into] = max(score, before or 0.0)
        if before is None:
            self._verdicts[into] = (TagAction.ADDED, cause.reason, {"from": tag, **cause.data})

    def decisions(self, order: Iterable[str]) -> tuple[TagDecision, ...]:
        """What became of every tag: those of the caption in its order, then the others by name of action and tag."""
        verdicts, make, decision, renaming = self._verdicts, tuple.__new__, TagDecision, TagAction.RENAMED
        first = [tag for tag in order if tag in verdicts]
        rest = sorted(verdicts.keys() - set(first))
        renamed = [tag for tag in rest if verdicts[tag][0] is renaming]
        others = [tag for tag in rest if verdicts[tag][0] is not renaming] if renamed else rest
        return tuple([make(decision, (tag, *verdicts[tag])) for tag in [*first, *renamed, *others]])
