"""Why a tag is in the caption of an image, or why it is not: everything that is known about the two."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from pipeline.core.errors import PrepError
from pipeline.store.manifest import Manifest
from pipeline.store.reasons.captions import CaptionReason
from pipeline.store.records import Decision, Image, Tagger
from pipeline.store.values.tags import TagAction, TagDecision
from pipeline.store.wording import counted, phrase, sentence
from pipeline.tags.captions.selection import gap_threshold
from pipeline.tags.captions.thresholds import UNJUDGED, Limits, limits_of
from pipeline.tags.editor.spelling import Names, alike
from pipeline.tags.vocabulary.aliases import canonical, split_caption
from pipeline.tags.vocabulary.rules_file import RuleFile, read_rules

LOWEST_STORED = 0.01
"""The lowest probability of a tagger that is stored."""


@dataclass(frozen=True, slots=True)
class Score:
    """What one tagger said: None for a probability below the lowest that is stored, or for a tag it does not know.

    `threshold` is None for ratings, which are read against each other.
    """

    tagger: str
    known: bool
    score: float | None
    threshold: float | None


@dataclass(frozen=True, slots=True)
class Answer:
    """Why a tag is in a caption or not. `because` says it in a sentence; `rows` are those of curation that name the tag;
    `edits` are a person's own about it; `near` are tags of nearly the same spelling where it is not known."""

    image: str
    tag: str
    in_caption: bool
    because: str
    caption: str
    by_person: bool
    rows: tuple[TagDecision, ...]
    scores: tuple[Score, ...]
    edits: tuple[tuple[str, ...], ...]
    near: tuple[str, ...]

    def as_json(self) -> dict[str, Any]:
        rows = [
            {"tag": row.tag, "action": row.action, "reason": row.reason, "said": sentence(row)} for row in self.rows
        ]
        return {**asdict(self), "rows": rows}


@dataclass(frozen=True, slots=True)
class Asked:
    """One image with what the record says of it, and how curation judges its scores."""

    image: Image
    caption: str
    manual_caption: Decision | None
    tags: Decision | None
    manual: Decision | None
    keep: Decision | None
    scores: Mapping[str, Mapping[str, float]]
    taggers: Sequence[tuple[Tagger, Limits]]
    floor: float
    gap: bool

    @property
    def rows(self) -> list[TagDecision]:
        """What curation did with every tag, that of the caption first."""
        return self.tags.value if self.tags else []


def gather(manifest: Manifest, image: Image, caption: str) -> Asked:
    """Everything about one image. Thresholds are those of the last curation."""
    decided = {row.field: row for row in manifest.decisions_of(image.path)}
    run = manifest.last_run("curate")
    options = run.options if run is not None else {}
    known = manifest.taggers()
    scores = {tagger: found for _, tagger, found in manifest.scores_of([image.content])}
    tags = decided.get("tags")
    ids = [each for each in tags.data.get("taggers", ()) if each in known] if tags is not None else []
    voting = [known[each] for each in ids or [each for each in scores if each in known] or known]
    return Asked(
        image,
        caption,
        decided.get("manual_caption"),
        tags,
        decided.get("manual_edits"),
        decided.get("keep"),
        scores,
        _judging(voting, options),
        float(options.get("floor", LOWEST_STORED)),
        options.get("threshold") == "gap",
    )


def _judging(taggers: Sequence[Tagger], options: Mapping[str, Any]) -> list[tuple[Tagger, Limits]]:
    """The taggers with the thresholds that the last curation held their tags to."""
    by_category = {name: options[name] for name in ("general", "character") if options.get(name) is not None}
    by_tag = {canonical(tag): float(value) for tag, value in options.get("thresholds", {}).items()}
    by_tag = {**_rules(options).threshold, **by_tag}
    return [(tagger, limits_of(tagger, by_category, by_tag)) for tagger in taggers]


def _rules(options: Mapping[str, Any]) -> RuleFile:
    """The rules of the last curation, as far as their file can still be read."""
    try:
        return read_rules(Path(options["rules"])) if options.get("rules") else RuleFile()
    except PrepError:
        return RuleFile()


def answer(asked: Asked, tag: str, names: Names) -> Answer:
    """Why a tag is in the caption of an image, or is not."""
    said = {alike(each) for each in split_caption(asked.caption)}
    there = alike(tag) in said
    rows = tuple(row for row in asked.rows if alike(row.tag) == alike(tag) or _names_it(row, tag))
    scores = tuple(_score(asked, tagger, limits, tag) for tagger, limits in asked.taggers)
    edits = asked.manual.value if asked.manual is not None else []
    about = tuple(tuple(edit) for edit in edits if alike(tag) in map(alike, edit[1:]))
    known = any(score.known for score in scores) or bool(rows) or there
    near = () if known else tuple(names.near(tag))
    because = _because(asked, tag, there, rows, scores, near)
    by_person = asked.manual_caption is not None and asked.manual_caption.value is not None
    return Answer(asked.image.path, tag, there, because, asked.caption, by_person, rows, scores, about, near)


def _names_it(row: TagDecision, tag: str) -> bool:
    """Whether a row says that its tag became this one."""
    return row.action == TagAction.RENAMED and row.data["to"] == tag


def _score(asked: Asked, tagger: Tagger, limits: Limits, tag: str) -> Score:
    own = asked.scores.get(tagger.id, {})
    known = tag in tagger.categories or tag in own
    category = tagger.categories.get(tag, "general")
    threshold = None if category in UNJUDGED or not known else limits.of(tag, category)
    if threshold is not None and asked.gap and tag not in limits.asked:
        like = [score for each, score in own.items() if tagger.categories.get(each, "general") == category]
        threshold = gap_threshold(like)
    return Score(tagger.id, known, own.get(tag), threshold)


def _because(
    asked: Asked,
    tag: str,
    there: bool,
    rows: Sequence[TagDecision],
    scores: Sequence[Score],
    near: Sequence[str],
) -> str:
    """The reason in a sentence."""
    own = next((row for row in rows if alike(row.tag) == alike(tag)), None)
    if asked.manual_caption is not None and asked.manual_caption.value is None:
        return f"{counted(CaptionReason.NOT_UTF8)}: it is not read, and nothing is written over it"
    if asked.manual_caption is not None:
        if there:
            return counted(CaptionReason.MANUAL)
        return f"a person wrote this caption and left it out; by its scores: {_by_score(asked, tag, scores, near)}"
    if own is not None:
        return f"{own.action}: {sentence(own)}"
    if asked.tags is None:
        if asked.keep is not None and not asked.keep.value:
            return f"the image was left out by check: {phrase(asked.keep)}"
        return "the image has no caption yet; run: prep curate"
    return _by_score(asked, tag, scores, near)


def _by_score(asked: Asked, tag: str, scores: Sequence[Score], near: Sequence[str]) -> str:
    """Why a tag without a row of its own was not considered."""
    if not asked.scores:
        return "the image was not scored; run: prep tag"
    knowing = [score for score in scores if score.known]
    if not knowing:
        names = " and ".join(score.tagger for score in scores) or "the tagger"
        return f"never considered: {names} knows no such tag" + (f"; near it are {', '.join(near)}" if near else "")
    if all(score.threshold is None for score in knowing):
        return "a rating: captions have none unless asked, and then the most probable"
    best = max(knowing, key=lambda score: score.score or 0.0)
    if best.score is None:
        return f"never considered: its score is below {LOWEST_STORED}, the lowest that is stored"
    limit = "" if best.threshold is None else f" (its threshold is {best.threshold:.2f})"
    if best.score < asked.floor:
        return f"never considered: its score {best.score:.2f} is below the floor {asked.floor:.2f}{limit}"
    return f"its score is {best.score:.2f}{limit}"
