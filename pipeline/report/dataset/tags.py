"""What became of the tags: of some images every tag that was considered, and why tags were dropped."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from pathlib import Path

from pipeline.core.humanize import grouped
from pipeline.report.dataset.facts import Curated, Facts, TagStep

ACTIONS = ("kept", "added", "renamed", "dropped")


@dataclass(frozen=True, slots=True)
class ShownTag:
    """A tag, its colour (one of ACTIONS), and what became of it in words."""

    name: str
    kind: str
    why: str


@dataclass(frozen=True, slots=True, kw_only=True)
class CuratedView:
    """An image with its tags and caption; `unlikely` are the tags that were below the tagger's threshold."""

    name: str
    file: Path
    concept: str
    caption: str
    manual: bool
    tags: tuple[ShownTag, ...]
    changes: tuple[TagStep, ...]
    unlikely: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class TagsView:
    """`said` are the counts of every action in words; `dropped_for` (reason, how often, commonest tags)."""

    total: int
    said: str
    images: tuple[CuratedView, ...]
    dropped_for: tuple[tuple[str, int, tuple[str, ...]], ...]
    actions: tuple[str, ...] = ACTIONS


def tags_view(facts: Facts) -> TagsView | None:
    """None where no tags were considered."""
    if not facts.actions:
        return None
    said = [f"{grouped(number)} {action}" for action, number in Counter(facts.actions).most_common()]
    said += [f"{grouped(facts.unlikely)} below threshold"] if facts.unlikely else []
    total = sum(facts.actions.values()) + facts.unlikely
    return TagsView(total, ", ".join(said), tuple(map(_curated, facts.curated)), facts.dropped_for)


def _curated(image: Curated) -> CuratedView:
    likely = [step for step in image.steps if not step.unlikely]
    return CuratedView(
        name=image.name,
        file=image.file,
        concept=image.concept,
        caption=image.caption,
        manual=image.manual,
        tags=tuple(map(_shown, likely)),
        changes=tuple(step for step in likely if step.action != "kept"),
        unlikely=tuple(step.tag for step in image.steps if step.unlikely),
    )


def _shown(step: TagStep) -> ShownTag:
    why = f"{step.action}: {step.reason}" if step.reason else step.action
    return ShownTag(step.tag, step.action if step.action in ACTIONS else "kept", why)
