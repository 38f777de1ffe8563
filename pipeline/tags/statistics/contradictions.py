"""Tags that contradict what all other images of a concept say: one `brown hair` in a blonde character's folder.

A single false tag of that kind shows again in what the adapter draws ("Stable Diffusion LoRA training science and
notes", rentry). For everyone that images are of, each slot's dominant value is found; an image that carries another
one, carries two, or lacks what it should show is listed with the tagger's own probabilities and a proposed fix.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from itertools import chain
from typing import Literal, NamedTuple

from pipeline.tags.vocabulary.attributes import LOOKS, NAMED, compatible, excused_by, excuses, hidden, slot_of

Fix = Literal["replace", "drop", "add", "look"]
"""Put the dominant value in place of the rival, leave the rival out, add the dominant value, or look: nothing tells."""
BOTH_AT_MOST = 0.05
BOTH_FROM = 50
"""A slot that is not named here is taken for one of a single value where, of at least so many images that fill it, at
most this share fill it twice."""


class Seen(NamedTuple):
    """One image of one person: whom it is of, tag → probability of those that hold and those that do not, and what
    fills its slots. Of slots that are excused nothing is said."""

    subject: str
    tags: Mapping[str, float]
    below: Mapping[str, float]
    slots: Mapping[str, list[str]]
    excuses: frozenset[str]


def look(subject: str, tags: Mapping[str, float], below: Mapping[str, float]) -> Seen:
    """See what an image of one person fills its slots with."""
    return Seen(subject, tags, below, slots_of(tags), frozenset(chain.from_iterable(map(excuses, tags))))


def _excused(image: Seen, slot: str) -> bool:
    return bool(image.excuses) and not image.excuses.isdisjoint(excused_by(slot))


@dataclass(frozen=True, slots=True)
class Dominant:
    """The value that `images` of `others` images of a subject fill a slot with."""

    subject: str
    slot: str
    tag: str
    images: int
    others: int

    @property
    def share(self) -> float:
        return self.images / self.others


@dataclass(frozen=True, slots=True)
class Contradiction:
    """What is odd about one slot of one image: it carries `rival`, "" where it lacks the slot.

    `score` and `dominant_score` are the tagger's probabilities here; None is too low to have been kept. `share` is how
    many of the subject's images fill the slot with `dominant`; None where two values of one image contradict.
    """

    slot: str
    dominant: str
    rival: str
    score: float | None
    dominant_score: float | None
    share: float | None
    figures: str
    fix: Fix

    def as_json(self, mended: bool) -> dict[str, str | float | bool | None]:
        """The contradiction as a row holds it."""
        return {
            "slot": self.slot,
            "dominant": self.dominant,
            "rival": self.rival,
            "score": self.score,
            "dominant_score": self.dominant_score,
            "share": None if self.share is None else round(self.share, 4),
            "fix": self.fix,
            "mended": mended,
        }


def dominants(
    images: Iterable[Seen], share: float, at_least: int
) -> tuple[dict[str, dict[str, Dominant]], frozenset[str]]:
    """(subject → slot → its dominant value, slots that one image fills once).

    Args:
        share: share of a subject's images that must fill the slot with one value for it to dominate.
        at_least: images of a subject that are needed to tell.
    """
    sizes: Counter[str] = Counter()
    excuses: Counter[tuple[str, str]] = Counter()
    values: defaultdict[tuple[str, str], Counter[str]] = defaultdict(Counter)
    filled: Counter[str] = Counter()
    twice: Counter[str] = Counter()
    for image in images:
        sizes[image.subject] += 1
        for slot, tags in image.slots.items():
            if _excused(image, slot):
                excuses[image.subject, slot] += 1
                continue
            filled[slot] += 1
            twice[slot] += len(tags) > 1
            counts = values[image.subject, slot]
            for tag in tags:
                counts[tag] += 1
    found: dict[str, dict[str, Dominant]] = {}
    for (subject, slot), counts in values.items():
        tag, times = min(counts.items(), key=lambda item: (-item[1], item[0]))
        whole = sizes[subject] - excuses[subject, slot]
        if whole >= at_least and times >= share * whole:
            found.setdefault(subject, {})[slot] = Dominant(subject, slot, tag, times, whole)
    single = {
        slot
        for slot in filled
        if slot in NAMED or (filled[slot] >= BOTH_FROM and twice[slot] <= BOTH_AT_MOST * filled[slot])
    }
    return found, frozenset(single)


def slots_of(tags: Collection[str]) -> dict[str, list[str]]:
    """Slot → the tags that fill it; of two that do not contradict each other the more exact one, or the first."""
    found: dict[str, list[str]] = {}
    for tag, slot in zip(tags, map(slot_of, tags), strict=True):
        if slot is not None:
            found.setdefault(slot, []).append(tag)
    return {slot: held if len(held) == 1 else _rivals(held) for slot, held in found.items()}


def _rivals(held: list[str]) -> list[str]:
    apart: list[str] = []
    for tag in sorted(held, key=lambda tag: (len(tag.split()), tag)):
        if not any(compatible(tag, other) for other in apart):
            apart.append(tag)
    return apart


def contradictions_in(
    image: Seen, of_subject: Mapping[str, Dominant], single: frozenset[str], silent: frozenset[str] = frozenset()
) -> list[Contradiction]:
    """What contradicts in one image of one person, by slot.

    Args:
        of_subject: the dominant values of whom it is of.
        single: slots that an image fills once.
        silent: tags that captions do not say anyway, of which a lack is no fault.
    """
    found = []
    for slot in sorted({*of_subject, *(slot for slot, tags in image.slots.items() if len(tags) > 1)}):
        dominant, tags = of_subject.get(slot), image.slots.get(slot, [])
        if _excused(image, slot):
            continue
        if dominant is not None and not any(compatible(tag, dominant.tag) for tag in tags):
            found += _against(image, dominant, tags, silent)
        elif len(tags) > 1 and slot in single:
            found += _twice(image, slot, tags, dominant)
    return found


def _against(image: Seen, dominant: Dominant, tags: list[str], silent: frozenset[str]) -> list[Contradiction]:
    """An image without the dominant value."""
    score = image.below.get(dominant.tag)
    here = f"here {score:.2f}" if score is not None else "not seen here"
    figures = f"{dominant.tag} in {dominant.images} of {dominant.others} images of {dominant.subject}, {here}"
    if not tags:
        if dominant.slot not in LOOKS or dominant.tag in silent or hidden(dominant.slot, image.tags):
            return []
        fix: Fix = "add" if score is not None else "look"
        return [Contradiction(dominant.slot, dominant.tag, "", None, score, dominant.share, figures, fix)]
    return [
        Contradiction(
            dominant.slot,
            dominant.tag,
            tag,
            image.tags[tag],
            score,
            dominant.share,
            f"{tag} {image.tags[tag]:.2f}; {figures}",
            "replace",
        )
        for tag in tags
    ]


def _twice(image: Seen, slot: str, tags: list[str], dominant: Dominant | None) -> list[Contradiction]:
    """An image with two values of which one can be true: the dominant one stays, else the most probable."""
    best = next((tag for tag in tags if dominant is not None and compatible(tag, dominant.tag)), "") or min(
        tags, key=lambda tag: (-image.tags[tag], tag)
    )
    return [
        Contradiction(
            slot,
            best,
            tag,
            image.tags[tag],
            image.tags[best],
            dominant.share if dominant else None,
            f"{tag} {image.tags[tag]:.2f} beside {best} {image.tags[best]:.2f}",
            "drop",
        )
        for tag in tags
        if tag != best
    ]
