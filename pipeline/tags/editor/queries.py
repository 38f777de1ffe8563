"""Answers about the tags of many images, as rows to print."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from pipeline.store.manifest import Manifest
from pipeline.store.values.contradiction import Contradiction
from pipeline.store.values.tags import TagAction, TagDecision
from pipeline.store.wording import rule
from pipeline.tags.captions.manual_edits import by_user
from pipeline.tags.editor.filters import CaptionedImage, Selection
from pipeline.tags.editor.spelling import misspelt
from pipeline.tags.statistics.coverage import (
    TOO_FEW,
    Coverage,
    Sightings,
    Together,
    by_concept,
    coverage,
    frequencies,
    sightings,
)
from pipeline.tags.vocabulary.prose import is_prose

Line = dict[str, Any]
_BATCH = 500
EXAMPLES = 3
NEVER_ABSENT = "never absent: no example without it"
A_TRIGGER = "trigger word: always present, as it should be"


def sightings_of(images: Iterable[CaptionedImage]) -> Sightings:
    """Which images have which tags in their captions."""
    return sightings(dict.fromkeys(shown.tags, 1.0) for shown in images)


# --- how often


def listed(selection: Selection, each_concept: bool) -> list[Line]:
    """Every tag of the captions with its images, the commonest first; of every concept on its own if asked."""
    images, categories = selection.images, selection.names.categories
    seen = sightings_of(images)
    if not each_concept:
        counts = sorted(frequencies(seen).items(), key=lambda item: (-item[1], item[0]))
        return [_line_of(tag, categories, int(count), len(images)) for tag, count in counts]
    concepts = [shown.concept for shown in images]
    sizes = Counter(concepts)
    return [
        {"concept": concept, **_line_of(tag, categories, int(count), sizes[concept])}
        for concept, tags in by_concept(seen, concepts).items()
        for tag, count in sorted(tags.items(), key=lambda item: (-item[1], item[0]))
    ]


def _line_of(tag: str, categories: Mapping[str, str], count: int, whole: int) -> Line:
    return {"tag": tag, "category": categories.get(tag, ""), "images": count, "share": round(count / whole, 4)}


def considered(manifest: Manifest, selection: Selection, each_concept: bool) -> list[Line]:
    """Every tag that curation considered: in how many images, and what became of it there."""
    order = (TagAction.KEPT, TagAction.ADDED, TagAction.RENAMED, TagAction.DROPPED)
    actions = {action: place for place, action in enumerate(order)}
    found: dict[tuple[str, str], list[int]] = {}
    concepts = {shown.path: shown.concept if each_concept else "" for shown in selection.images}
    for path, rows in rows_of(manifest, concepts):
        concept = concepts[path]
        for tag, action, *_ in rows:
            held = found.get((concept, tag))
            if held is None:
                held = found[concept, tag] = [0, 0, 0, 0]
            held[actions[action]] += 1
    categories = selection.names.categories
    return [
        ({"concept": concept} if each_concept else {})
        | {"tag": tag, "category": categories.get(tag, ""), "considered": sum(held)}
        | dict(zip(actions, held, strict=True))
        for (concept, tag), held in sorted(found.items(), key=lambda item: (item[0][0], -sum(item[1]), item[0][1]))
    ]


def rows_of(manifest: Manifest, paths: Collection[str]) -> Iterator[tuple[str, list[TagDecision]]]:
    """(image, what became of every tag) for those that were curated."""
    return manifest.values("tags", among=paths)


# --- side by side


def pairs_of(selection: Selection, tag: str) -> list[Line]:
    """What stands beside one tag, the commonest first."""
    asked = Together(sightings_of(selection.images))
    return _by_count(_pairs(asked, tag, 1), selection)


def pairs(selection: Selection, at_least: int) -> list[Line]:
    """Tags that stand together in so many images or more, the most telling first: those of the largest lift."""
    asked = Together(sightings_of(selection.images))
    found = [
        pair
        for tag, count in zip(asked.seen.tags, asked.counts.tolist(), strict=True)
        if count >= at_least
        for pair in _pairs(asked, tag, at_least)
        if (pair.tag_count, pair.other) > (pair.other_count, pair.tag)
    ]
    lines = [_pair_line(pair, len(selection.images)) for pair in found]
    return sorted(lines, key=lambda line: (-line["lift"], -line["both"], line["tag"], line["beside"]))


class _Pair(NamedTuple):
    tag: str
    other: str
    both: int
    tag_count: int
    other_count: int


def _pairs(asked: Together, tag: str, at_least: int) -> Iterator[_Pair]:
    beside = asked.beside(tag)
    own = len(asked.showing(tag))
    for place in (beside >= at_least).nonzero()[0].tolist():
        other = asked.seen.tags[place]
        if other != tag:
            yield _Pair(tag, other, int(beside[place]), own, int(asked.counts[place]))


def _by_count(found: Iterable[_Pair], selection: Selection) -> list[Line]:
    lines = [_pair_line(pair, len(selection.images)) for pair in found]
    return sorted(lines, key=lambda line: (-line["both"], -line["lift"], line["beside"]))


def _pair_line(pair: _Pair, whole: int) -> Line:
    """P(beside|tag), P(tag|beside), and lift: how many times more often than if the two had nothing to do with it."""
    return {
        "tag": pair.tag,
        "beside": pair.other,
        "both": pair.both,
        "P(beside|tag)": round(pair.both / pair.tag_count, 4),
        "P(tag|beside)": round(pair.both / pair.other_count, 4),
        "lift": round(pair.both * whole / (pair.tag_count * pair.other_count), 4),
    }


# --- which images


def found_with(manifest: Manifest, images: Sequence[CaptionedImage], tags: Sequence[str]) -> Iterator[Line]:
    """A line for every image, with the probability of each tag by the taggers that gave one, the highest."""
    for start in range(0, len(images), _BATCH):
        batch = images[start : start + _BATCH]
        scores = best_scores(manifest, {shown.image.content for shown in batch}, tags)
        for shown in batch:
            own = scores.get(shown.image.content, {})
            yield {
                "image": shown.path,
                "concept": shown.concept,
                "scores": {tag: own.get(tag) for tag in tags},
            }


def best_scores(manifest: Manifest, contents: Collection[str], tags: Collection[str]) -> dict[str, dict[str, float]]:
    """Content → tag → the highest probability that any tagger gave it."""
    found: dict[str, dict[str, float]] = {}
    for content, _, given in manifest.scores_of(contents):
        held = found.setdefault(content, {})
        held.update({tag: max(given[tag], held.get(tag, 0.0)) for tag in tags if tag in given})
    return found


# --- what rules did


def rules_of(manifest: Manifest, selection: Selection) -> list[Line]:
    """Every rule with the tags it acted on, how often, and examples, the busiest first."""
    paths = {shown.path for shown in selection.images}
    times: Counter[tuple[str, str]] = Counter()
    images: Counter[tuple[str, str]] = Counter()
    tags: dict[tuple[str, str], Counter[str]] = {}
    where: dict[tuple[str, str], str] = {}
    for path, rows in rows_of(manifest, paths):
        acted = set()
        for row in rows:
            acting = (row.action.value, rule(row))
            times[acting] += 1
            acted.add(acting)
            tags.setdefault(acting, Counter())[row.tag] += 1
            where.setdefault(acting, path)
        images.update(acted)
    return [
        {
            "action": action,
            "rule": name,
            "times": count,
            "images": images[action, name],
            "tags": len(tags[action, name]),
            "examples": ", ".join(tag for tag, _ in tags[action, name].most_common(EXAMPLES)),
            "such as": where[action, name],
        }
        for (action, name), count in times.most_common()
    ]


# --- what training can learn


def covered(manifest: Manifest, selection: Selection, few: int, always: float) -> Iterator[Line]:
    """In how many images of every concept each tag is present and absent, with the repeats that were decided."""
    decided = manifest.decisions("repeats")
    concepts = [shown.concept for shown in selection.images]
    repeats = [decided[shown.path].value.exact if shown.path in decided else 1.0 for shown in selection.images]
    triggers = triggers_by_concept(manifest, selection.images)
    for each in coverage(sightings_of(selection.images), concepts, repeats, few, always):
        yield {
            "concept": each.concept,
            "tag": each.tag,
            "present": each.present,
            "absent": each.absent,
            "exposures present": round(each.exposures_present, 3),
            "exposures absent": round(each.exposures_absent, 3),
            "share": round(each.share, 4) if each.exposures_present + each.exposures_absent else None,
            "verdict": _verdict(each, triggers.get(each.concept, frozenset())),
        }


def _verdict(each: Coverage, triggers: Collection[str]) -> str:
    if each.tag in triggers:
        return A_TRIGGER
    return NEVER_ABSENT if each.absent == 0 and each.verdict != TOO_FEW else each.verdict


def triggers_by_concept(manifest: Manifest, images: Sequence[CaptionedImage]) -> dict[str, set[str]]:
    """Concept → the trigger words that curation put in front of its captions."""
    words, found = manifest.trigger_words(), dict[str, set[str]]()
    for shown in images:
        found.setdefault(shown.concept, set()).update(words.get(shown.path, ()))
    return found


# --- what looks wrong


def contradictions_of(manifest: Manifest, selection: Selection, attribute: str | None) -> list[Line]:
    """What contradicts the other images of a concept, the likeliest errors first."""
    concepts = {shown.path: shown.concept for shown in selection.images}
    found: list[tuple[str, Contradiction]] = [
        (path, each)
        for path, contradictions in manifest.values("contradictions", among=concepts)
        for each in contradictions
        if attribute in (None, each.attribute)
    ]
    same = Counter((concepts[path], each.attribute, each.rival) for path, each in found)
    found.sort(key=lambda item: (same[concepts[item[0]], item[1].attribute, item[1].rival], item[0]))
    return [{"image": path, "concept": concepts[path], **_contradiction_line(each)} for path, each in found]


def _contradiction_line(found: Contradiction) -> Line:
    names = ("attribute", "dominant", "rival", "score", "dominant_score")
    share = None if found.share is None else round(found.share, 4)
    return {name: getattr(found, name) for name in names} | {"share": share, "fix": found.fix, "fixed": found.fixed}


def misspelt_in(manifest: Manifest, selection: Selection) -> list[Line]:
    """Tags of captions that look like a misspelt trigger word or tag, those in most images first."""
    where: dict[str, list[str]] = {}
    for shown in selection.images:
        if not is_prose(", ".join(shown.tags)):
            for tag in shown.tags:
                where.setdefault(tag, []).append(shown.path)
    triggers: set[str] = set()
    made: set[str] = set()
    for _, tags in rows_of(manifest, {shown.path for shown in selection.images}):
        made.update(row.tag for row in tags if row.action == TagAction.ADDED and not by_user(row))
        triggers.update(row.tag for row in tags if row.is_trigger)
    rows = [
        {"tag": each.tag, "meant": each.meant, "why": each.why, "images": len(held), "such as": held[0]}
        for each in misspelt(where, sorted(triggers), [*selection.names.categories, *sorted(made)])
        for held in (where[each.tag],)
    ]
    return sorted(rows, key=lambda line: (-line["images"], line["tag"]))
