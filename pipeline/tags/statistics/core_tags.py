"""Core tags: the traits that make a character, to be pruned into the trigger word.

A trait is core for a trigger word when nearly all images of it alone show it, clearly more of them than other
images do, and there are enough images to tell.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from pipeline.core.filenames import fits_concept
from pipeline.store.reasons.tags import TagCause, TagReason
from pipeline.tags.vocabulary.traits import is_trait

Mode = Literal["prune", "keep", "none"]
MODES = ("prune", "keep", "none")
"""What becomes of a trigger word's core tags: they are pruned into it, they stay promptable, or nothing is looked for."""
STYLES = ("artists/*", "artist/*", "styles/*", "style/*")
"""Patterns of the concepts that are styles, where nothing else is said."""


@dataclass(frozen=True, slots=True)
class ImageTags:
    """The tags of an image, the first trigger word of everyone in its folder, and whether it shows one person."""

    triggers: tuple[str, ...]
    tags: Collection[str]
    one_person: bool


@dataclass(frozen=True, slots=True)
class Core:
    """Why a tag is core: in `shown` of `images` of the trigger word alone, in `elsewhere` of `others` without it."""

    trigger: str
    tag: str
    shown: int
    images: int
    elsewhere: int
    others: int

    @property
    def share(self) -> float:
        return self.shown / self.images

    @property
    def lift(self) -> float:
        """How many times more often than in other images; infinite where no other shows it."""
        return self.share / (self.elsewhere / self.others) if self.elsewhere else math.inf

    @property
    def data(self) -> dict[str, Any]:
        """What a decision has to say of it."""
        figures = {"shown": self.shown, "images": self.images, "elsewhere": self.elsewhere, "others": self.others}
        return {"trigger": self.trigger, **figures}


def core_tags(images: Sequence[ImageTags], share: float, lift: float, at_least: int) -> dict[str, dict[str, Core]]:
    """Trigger word → core tag → its figures, for trigger words with `at_least` images of them alone."""
    alone = alone_by_trigger(images)
    total: Counter[str] = Counter()
    of_trigger: dict[str, Counter[str]] = {trigger: Counter() for trigger in alone}
    count: Counter[str] = Counter()
    for image in images:
        traits = [tag for tag in image.tags if is_trait(tag)]
        total.update(traits)
        for trigger in image.triggers:
            of_trigger[trigger].update(traits)
            count[trigger] += 1
    found: dict[str, dict[str, Core]] = {}
    for trigger, own in alone.items():
        if len(own) < at_least:
            continue
        shown = Counter(tag for image in own for tag in image.tags if is_trait(tag))
        cores = [
            Core(trigger, tag, times, len(own), total[tag] - of_trigger[trigger][tag], len(images) - count[trigger])
            for tag, times in sorted(shown.items())
        ]
        found[trigger] = {core.tag: core for core in cores if core.share >= share and core.lift >= lift}
    return found


def alone_by_trigger(images: Iterable[ImageTags]) -> Mapping[str, list[ImageTags]]:
    """Trigger word → images that show one person and stand in a folder that speaks of it only."""
    found: dict[str, list[ImageTags]] = {}
    for image in images:
        for trigger in image.triggers:
            own = found.setdefault(trigger, [])
            if len(image.triggers) == 1 and image.one_person:
                own.append(image)
    return found


def mode_of(trigger: str, concepts: Collection[str], asked: Mapping[str, str], styles: Sequence[str]) -> Mode:
    """What to do with a trigger word's core tags: as asked for it or, by pattern, for one of its concepts; nothing for
    a style, whose concepts all fit a pattern of `styles`; else they are pruned.

    Args:
        concepts: the concept paths that the trigger word stands for.
        asked: trigger word or pattern of concept paths → mode.
    """
    for key in (trigger, *(key for key in asked if any(fits_concept(concept, key) for concept in concepts))):
        if key in asked:
            found = asked[key]
            return "prune" if found == "prune" else "keep" if found == "keep" else "none"
    style = all(any(fits_concept(concept, pattern) for pattern in styles) for concept in concepts)
    return "none" if style else "prune"


@dataclass(frozen=True, slots=True)
class Traits:
    """Trigger word → tag → why: what is pruned into it, and what stays promptable although it makes the character."""

    pruned: Mapping[str, Mapping[str, TagCause]]
    kept: Mapping[str, Mapping[str, TagCause]]

    def silent(self, trigger: str) -> frozenset[str]:
        """The tags that captions of a trigger word alone leave to it."""
        return frozenset(self.pruned.get(trigger, ()))


def traits_of(
    cores: Mapping[str, Mapping[str, Core]],
    modes: Mapping[str, Mode],
    prune: Mapping[str, Collection[str]],
    keep: Mapping[str, Collection[str]],
) -> Traits:
    """What becomes of every trigger word's traits; what a person listed goes before what was found.

    Args:
        modes: every trigger word → what to do with its core tags.
        prune: trigger word, or * for all, → tags that a user listed to be pruned.
        keep: the same of tags to be kept.
    """
    pruned: dict[str, dict[str, TagCause]] = {}
    kept: dict[str, dict[str, TagCause]] = {}
    for trigger, mode in modes.items():
        asked_in = {*prune.get(trigger, ()), *prune.get("*", ())} - {*keep.get(trigger, ())}
        asked_out = {*keep.get(trigger, ()), *keep.get("*", ())} - {*prune.get(trigger, ())}
        found = cores.get(trigger, {}) if mode != "none" else {}
        stay = {tag: core for tag, core in found.items() if mode == "keep" or tag in asked_out}
        as_asked = TagCause(TagReason.CORE, {"trigger": trigger})
        pruned[trigger] = {
            tag: TagCause(TagReason.CORE, core.data) for tag, core in found.items() if tag not in stay
        } | dict.fromkeys(sorted(asked_in), as_asked)
        kept[trigger] = {
            tag: TagCause(TagReason.CORE_KEPT, core.data) for tag, core in stay.items() if tag not in pruned[trigger]
        }
    return Traits(pruned, kept)
