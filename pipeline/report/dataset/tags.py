"""What became of the tags: of some images every tag that was considered, and why tags were dropped."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from pathlib import Path

from pipeline.core.humanize import grouped
from pipeline.report.dataset.facts import Curated, Facts
from pipeline.store.values.tags import TagAction, TagDecision
from pipeline.store.wording import phrase

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
    changes: tuple[ShownTag, ...]
    unlikely: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class TagsView:
    """`said` are the counts of every action in words; `dropped_for` (reason, how often, commonest tags); `captions`
    (concept, name, caption, by a person) of all images, of which `images` are those whose tags changed most."""

    total: int
    said: str
    images: tuple[CuratedView, ...]
    dropped_for: tuple[tuple[str, int, tuple[str, ...]], ...]
    captions: tuple[tuple[str, str, str, bool], ...]
    actions: tuple[str, ...] = ACTIONS


def tags_view(facts: Facts) -> TagsView | None:
    """None where no tags were considered."""
    if not facts.actions:
        return None
    said = [f"{grouped(number)} {action}" for action, number in Counter(facts.actions).most_common()]
    said += [f"{grouped(facts.unlikely)} below threshold"] if facts.unlikely else []
    total = sum(facts.actions.values()) + facts.unlikely
    return TagsView(total, ", ".join(said), tuple(map(_curated, facts.curated)), facts.dropped_for, facts.captions)


def _curated(image: Curated) -> CuratedView:
    likely = [step for step in image.steps if not step.below_threshold]
    return CuratedView(
        name=image.name,
        file=image.file,
        concept=image.concept,
        caption=image.caption,
        manual=image.manual,
        tags=tuple(map(_shown, likely)),
        changes=tuple(_shown(step) for step in likely if step.action != TagAction.KEPT),
        unlikely=tuple(step.tag for step in image.steps if step.below_threshold),
    )


def _shown(step: TagDecision) -> ShownTag:
    return ShownTag(step.tag, step.action.value, f"{step.action}: {phrase(step)}")
