"""What became of every tag of one image, and why."""

from __future__ import annotations

import functools
from collections.abc import Iterable, Sequence

KEPT, DROPPED, ADDED, RENAMED = "kept", "dropped", "added", "renamed"
BELOW = "below its threshold: "
TRIGGER = "trigger word"
Row = tuple[str, str, str]
"""(tag, action, reason)"""


@functools.cache
def _below(figures: str) -> tuple[str, str]:
    return DROPPED, BELOW + figures


@functools.cache
def _kept(reason: str) -> tuple[str, str]:
    return KEPT, reason


class Ledger:
    """The tags of an image while rules work on them. `alive` is tag → probability of those still in the caption,
    `below` of those that were considered and did not reach their threshold."""

    __slots__ = ("_rows", "alive", "below")

    def __init__(self) -> None:
        self.alive: dict[str, float] = {}
        self.below: dict[str, float] = {}
        self._rows: dict[str, tuple[str, str]] = {}

    def keep(self, tag: str, score: float, reason: str) -> None:
        self.alive[tag] = score
        self._rows[tag] = _kept(reason)

    def pass_over(self, tag: str, score: float, figures: str) -> None:
        """A tag that did not reach its threshold."""
        self.below[tag] = score
        self._rows[tag] = _below(figures)

    def add(self, tag: str, score: float, reason: str) -> None:
        """A tag that no score or person gave; what a tagger gave as well stays its own."""
        if tag not in self.alive:
            self.alive[tag] = score
            self._rows[tag] = (ADDED, reason)

    def drop(self, tag: str, reason: str) -> None:
        self.alive.pop(tag, None)
        self._rows[tag] = (DROPPED, reason)

    def rename(self, tag: str, into: str, reason: str) -> None:
        score = self.alive.pop(tag)
        self._rows[tag] = (RENAMED, f"to {into}: {reason}")
        before = self.alive.get(into)
        self.alive[into] = max(score, before or 0.0)
        if before is None:
            self._rows[into] = (ADDED, f"from {tag}: {reason}")

    def rows(self, order: Iterable[str]) -> tuple[Row, ...]:
        """All rows: those of the caption in its order, then the others by name of action and tag."""
        first = [tag for tag in order if tag in self._rows]
        rest = sorted(self._rows.keys() - set(first))
        renamed = [tag for tag in rest if self._rows[tag][0] == RENAMED]
        others = [tag for tag in rest if self._rows[tag][0] != RENAMED]
        return tuple([(tag, *self._rows[tag]) for tag in [*first, *renamed, *others]])


def before_and_after(rows: Iterable[Sequence[str]]) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """From the `tags` rows of an image: the tags its scores alone would give, and those of its caption."""
    rows = [tuple(row) for row in rows]
    before = tuple(tag for tag, action, reason in rows if action != ADDED and not reason.startswith(BELOW))
    return before, tuple(tag for tag, action, _ in rows if action in (KEPT, ADDED))


SEPARATES = "keep separator"
