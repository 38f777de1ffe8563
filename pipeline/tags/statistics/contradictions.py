"""Tags that contradict what all other images of a concept say: one `brown hair` in a blonde character's folder.

A single false tag of that kind shows again in what the adapter draws ("Stable Diffusion LoRA training science and
notes", rentry). For everyone that images are of, each attribute's dominant value is found; an image that carries another
one, carries two, or lacks what it should show is listed with the tagger's own probabilities and a proposed fix.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from itertools import chain
from typing import NamedTuple

from pipeline.store.values.contradiction import Contradiction, Fix
from pipeline.tags.vocabulary.attributes import (
    COUNT,
    LOOKS,
    NAMED,
    SCENE,
    attribute_of,
    compatible,
    excused_by,
    excuses,
    hidden,
)

BOTH_AT_MOST = 0.05
BOTH_FROM = 50
"""A attribute that is not named here is taken for one of a single value where, of at least so many images that fill it, at
most this share fill it twice."""


class Seen(NamedTuple):
    """One image of one person: whom it is of, tag → probability of those that hold and those that do not, and what
    fills its attributes. Of attributes that are excused nothing is said."""

    subject: str
    tags: Mapping[str, float]
    below: Mapping[str, float]
    attributes: Mapping[str, list[str]]
    excuses: frozenset[str]


def look(subject: str, tags: Mapping[str, float], below: Mapping[str, float]) -> Seen:
    """See what an image of one person fills its attributes with."""
    return Seen(subject, tags, below, attributes_of(tags), frozenset(chain.from_iterable(map(excuses, tags))))


def _excused(image: Seen, attribute: str) -> bool:
    return bool(image.excuses) and not image.excuses.isdisjoint(excused_by(attribute))


@dataclass(frozen=True, slots=True)
class Dominant:
    """The value that `images` of `others` images of a subject fill an attribute with."""

    subject: str
    attribute: str
    tag: str
    images: int
    others: int

    @property
    def share(self) -> float:
        return self.images / self.others


def dominants(
    images: Iterable[Seen], share: float, at_least: int
) -> tuple[dict[str, dict[str, Dominant]], frozenset[str]]:
    """(subject → attribute → its dominant value, attributes that one image fills once). No value of what belongs to the
    picture, as the time of day, dominates; an image in which a look is hidden tells nothing of it.

    Args:
        share: share of a subject's images that must fill the attribute with one value for it to dominate.
        at_least: images of a subject that are needed to tell.
    """
    sizes: Counter[str] = Counter()
    excuses: Counter[tuple[str, str]] = Counter()
    values: defaultdict[tuple[str, str], Counter[str]] = defaultdict(Counter)
    filled: Counter[str] = Counter()
    twice: Counter[str] = Counter()
    for image in images:
        sizes[image.subject] += 1
        for attribute, tags in image.attributes.items():
            if _excused(image, attribute):
                excuses[image.subject, attribute] += 1
                continue
            filled[attribute] += 1
            twice[attribute] += len(tags) > 1
            counts = values[image.subject, attribute]
            for tag in tags:
                counts[tag] += 1
        for attribute in LOOKS:
            if attribute not in image.attributes and hidden(attribute, image.tags):
                excuses[image.subject, attribute] += 1
    found: dict[str, dict[str, Dominant]] = {}
    for (subject, attribute), counts in values.items():
        if attribute in SCENE:
            continue
        tag, times = min(counts.items(), key=lambda item: (-item[1], item[0]))
        whole = sizes[subject] - excuses[subject, attribute]
        if whole >= at_least and times >= share * whole:
            found.setdefault(subject, {})[attribute] = Dominant(subject, attribute, tag, times, whole)
    single = {
        attribute
        for attribute in filled
        if attribute in NAMED
        or (filled[attribute] >= BOTH_FROM and twice[attribute] <= BOTH_AT_MOST * filled[attribute])
    }
    return found, frozenset(single)


def attributes_of(tags: Collection[str]) -> dict[str, list[str]]:
    """Attribute → the tags that fill it; of two that do not contradict each other the more exact one, or the first."""
    found: dict[str, list[str]] = {}
    for tag, attribute in zip(tags, map(attribute_of, tags), strict=True):
        if attribute is not None:
            found.setdefault(attribute, []).append(tag)
    return {attribute: held if len(held) == 1 else _rivals(held) for attribute, held in found.items()}


def _rivals(held: list[str]) -> list[str]:
    apart: list[str] = []
    for tag in sorted(held, key=lambda tag: (tag == "colored skin", len(tag.split()), tag)):
        if not any(compatible(tag, other) for other in apart):
            apart.append(tag)
    return apart


def contradictions_in(
    image: Seen, of_subject: Mapping[str, Dominant], single: frozenset[str], silent: frozenset[str] = frozenset()
) -> list[Contradiction]:
    """What contradicts in one image of one person, by attribute.

    Args:
        of_subject: the dominant values of whom it is of.
        single: attributes that an image fills once.
        silent: tags that captions do not say anyway, of which a lack is no fault.
    """
    found = []
    for attribute in sorted(
        {*of_subject, *(attribute for attribute, tags in image.attributes.items() if len(tags) > 1)}
    ):
        dominant, tags = of_subject.get(attribute), image.attributes.get(attribute, [])
        if _excused(image, attribute):
            continue
        if dominant is not None and not any(compatible(tag, dominant.tag) for tag in tags):
            found += _against(image, dominant, tags, silent)
        elif len(tags) > 1 and attribute in single:
            found += _twice(image, attribute, tags, dominant)
    return found


def _against(image: Seen, dominant: Dominant, tags: list[str], silent: frozenset[str]) -> list[Contradiction]:
    """An image without the dominant value; of clothes in another colour, which may be another outfit, nothing is sure."""
    score = image.below.get(dominant.tag)
    of_subject = (dominant.subject, dominant.images, dominant.others)
    fix: Fix
    if not tags:
        if dominant.attribute not in LOOKS or dominant.tag in silent or hidden(dominant.attribute, image.tags):
            return []
        fix = "add" if score is not None else "look"
        return [Contradiction(dominant.attribute, dominant.tag, "", None, score, fix, *of_subject)]
    sure = dominant.attribute in (*LOOKS, COUNT) and not hidden(dominant.attribute, image.tags)
    fix = "replace" if sure else "look"
    return [
        Contradiction(dominant.attribute, dominant.tag, tag, image.tags[tag], score, fix, *of_subject) for tag in tags
    ]


def _twice(image: Seen, attribute: str, tags: list[str], dominant: Dominant | None) -> list[Contradiction]:
    """An image with two values of which one can be true: the dominant one stays, else the most probable."""
    best = next((tag for tag in tags if dominant is not None and compatible(tag, dominant.tag)), "") or min(
        tags, key=lambda tag: (-image.tags[tag], tag)
    )
    of_subject = (dominant.subject, dominant.images, dominant.others) if dominant else ()
    return [
        Contradiction(attribute, best, tag, image.tags[tag], image.tags[best], "drop", *of_subject)
        for tag in tags
        if tag != best
    ]
