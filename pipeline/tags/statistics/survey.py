"""What is known of a set as a whole once every image's tags are chosen: core tags, mined implications, contradictions."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from pipeline.store.values.contradiction import Contradiction
from pipeline.tags.captions.ledger import Ledger
from pipeline.tags.statistics.contradictions import Dominant, Seen, contradictions_in, dominants, look
from pipeline.tags.statistics.core_tags import Core, ImageTags, Mode, Traits, core_tags, mode_of, traits_of
from pipeline.tags.statistics.coverage import frequencies, sightings
from pipeline.tags.statistics.mined_implications import MinedImplication, mine
from pipeline.tags.vocabulary.person_count import is_count
from pipeline.tags.vocabulary.quality_tags import quality_flag


class SurveyedImage(NamedTuple):
    """One image with its chosen tags. `subjects` are the trigger words of everyone in its folder; `people` is None
    where nothing tells; `rating` is the most probable one where it is asked for; `flags` is flag → the tags that raise it;
    `one_picture` is False for comics and sheets of views."""

    path: str
    concept: str
    subjects: tuple[tuple[str, ...], ...]
    scored: bool
    people: int | None
    ledger: Ledger
    rating: tuple[str, float] | None
    flags: Mapping[str, Mapping[str, float]]
    one_picture: bool

    @property
    def triggers(self) -> tuple[str, ...]:
        """All trigger words, each once."""
        return tuple(dict.fromkeys(word for words in self.subjects for word in words))

    @property
    def leads(self) -> tuple[str, ...]:
        """The first trigger word of everyone in the folder."""
        return tuple(dict.fromkeys(words[0] for words in self.subjects))

    @property
    def one_person(self) -> bool:
        """Whether all its tags are of one person, seen once."""
        return self.one_picture and self.people in (None, 1)

    @property
    def whom(self) -> str:
        """Whom it is of, where it is of one: the trigger word, else the concept; "" for several."""
        if not self.one_person or len(self.subjects) > 1:
            return ""
        return self.leads[0] if self.subjects else self.concept

    def imaged(self) -> ImageTags:
        return ImageTags(self.leads, tuple(self.ledger.alive), self.one_person)

    def seen(self) -> Seen:
        return look(self.whom, self.ledger.alive, self.ledger.below)


def modes(
    images: Sequence[SurveyedImage], prune: bool, asked: Mapping[str, str], styles: Sequence[str]
) -> dict[str, Mode]:
    """Trigger word → what to do with its core tags (`mode_of`); none of them without `prune`, unless asked."""
    concepts: dict[str, set[str]] = {}
    for image in images:
        for lead in image.leads:
            concepts.setdefault(lead, set()).add(image.concept)
    found = {lead: mode_of(lead, held, asked, styles if prune else ("*",)) for lead, held in sorted(concepts.items())}
    return found


@dataclass(frozen=True, slots=True)
class Traited:
    """Core tags with their figures, what becomes of them, and (trigger word, images) of those with too few to tell."""

    cores: Mapping[str, Mapping[str, Core]]
    traits: Traits
    few: tuple[tuple[str, int], ...]


def find_traits(
    images: Sequence[SurveyedImage],
    mode: Mapping[str, Mode],
    figures: tuple[float, float, int],
    lists: tuple[Mapping[str, Collection[str]], Mapping[str, Collection[str]]],
) -> Traited:
    """Core tags of every trigger word of the set.

    Args:
        figures: share, lift and number of images that are needed (`core_tags`).
        lists: what a person said is pruned, and kept (`traits_of`).
    """
    wanted = {lead for lead, what in mode.items() if what != "none"}
    imaged = [image.imaged() for image in images if image.scored] if wanted else []
    found = core_tags(imaged, *figures)
    cores = {lead: tags for lead, tags in found.items() if lead in wanted}
    alone = dict.fromkeys(sorted(wanted), 0)
    for image in imaged:
        if len(image.triggers) == 1 and image.one_person and image.triggers[0] in alone:
            alone[image.triggers[0]] += 1
    few = tuple((lead, count) for lead, count in alone.items() if count < figures[2])
    return Traited(cores, traits_of(cores, mode, *lists), few)


def find_rules(images: Sequence[SurveyedImage]) -> list[MinedImplication]:
    """What the set's own scores tell of tags that imply others; of images that show one person."""
    alone = [image for image in images if image.scored and image.one_person]
    seen = sightings(image.ledger.alive for image in alone)
    return mine(seen, [image.concept for image in alone], lambda tag: is_count(tag) or quality_flag(tag) is not None)


@dataclass(frozen=True, slots=True)
class Odd:
    """Image → what contradicts in it, and subject → attribute → the value that dominates."""

    found: Mapping[str, Sequence[Contradiction]]
    dominant: Mapping[str, Mapping[str, Dominant]]


def find_contradictions(images: Sequence[SurveyedImage], traits: Traits, share: float, at_least: int) -> Odd:
    """What contradicts in images of one person alone."""
    alone = [image for image in images if image.scored and image.whom and image.people != 0]
    seen = [image.seen() for image in alone]
    known, single = dominants(seen, share, at_least)
    found = {}
    for image, what in zip(alone, seen, strict=True):
        odd = contradictions_in(what, known.get(what.subject, {}), single, traits.silent(what.subject))
        if odd:
            found[image.path] = odd
    return Odd(found, known)


@dataclass(frozen=True, slots=True)
class SetFacts:
    """What the set as a whole tells."""

    traited: Traited
    mined: Sequence[MinedImplication]
    odd: Odd


def ranks(images: Sequence[SurveyedImage], order: str, vocabulary: Sequence[str]) -> Mapping[str, float] | None:
    """Tag → its place by how often the set shows it, or in the tagger's vocabulary; None for the order of scores."""
    if order == "frequency":
        counts = frequencies(sightings(image.ledger.alive for image in images))
        return {tag: -count for tag, count in counts.items()}
    return {tag: float(place) for place, tag in enumerate(vocabulary)} if order == "vocabulary" else None
