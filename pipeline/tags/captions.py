"""A caption from scores: the rules in their order, each leaving a reason."""

from __future__ import annotations

import fnmatch
from collections.abc import Mapping
from dataclasses import dataclass

from pipeline.tags.choose import Choice
from pipeline.tags.compose import compose_garments, compose_hair
from pipeline.tags.core import Core
from pipeline.tags.implications import needless
from pipeline.tags.order import ordered, within_limit
from pipeline.tags.quality import quality_flag
from pipeline.tags.rows import BELOW, Ledger, Row


@dataclass(frozen=True, slots=True)
class Rules:
    """What is done to every caption, whatever it shows. Names are canonical; `categories` is tag → category."""

    categories: Mapping[str, str]
    rename: Mapping[str, str]
    blacklist: tuple[str, ...]
    keep_quality: bool
    consolidate: bool
    compose_garments: bool
    compose_hair: bool
    max_tags: int


@dataclass(frozen=True, slots=True)
class Subject:
    """What is known of one picture beside its tags; `people` is None where nothing tells, `media` comes by folder."""

    triggers: tuple[str, ...]
    people: int | None
    media: tuple[str, ...]
    rating: tuple[str, float] | None


def chosen_tags(choices: tuple[Choice, ...], rules: Rules, rating: tuple[str, float] | None) -> Ledger:
    """The tags that scores, renaming and the blacklist leave."""
    ledger = Ledger()
    for choice in choices:
        if choice.chosen:
            ledger.keep(choice.tag, choice.score, choice.figures)
        else:
            ledger.drop(choice.tag, BELOW + choice.figures)
    if rating is not None:
        ledger.add(f"rating:{rating[0]}", rating[1], "the most probable rating")
    for tag in sorted(ledger.alive.keys() & rules.rename.keys()):
        if rules.rename[tag] != tag:
            ledger.rename(tag, rules.rename[tag], "rename")
    for tag in sorted(ledger.alive):
        pattern = next((each for each in rules.blacklist if fnmatch.fnmatchcase(tag, each)), None)
        if pattern is not None:
            ledger.drop(tag, "blacklist" if pattern == tag else f"blacklist: {pattern}")
    return ledger


def caption_tags(
    ledger: Ledger, subject: Subject, rules: Rules, cores: Mapping[str, Mapping[str, Core]]
) -> tuple[tuple[str, ...], tuple[Row, ...]]:
    """Finish the ledger of `chosen_tags`: returns the caption's tags in order, and a row for every tag."""
    if not rules.keep_quality:
        for tag in sorted(ledger.alive):
            if flag := quality_flag(tag):
                ledger.drop(tag, f"quality flag: {flag}")
    if rules.consolidate:
        for tag, better in needless(ledger.alive, one_person=subject.people is None or subject.people < 2).items():
            ledger.drop(tag, f"{better} says more")
    _absorb(ledger, subject, cores)
    if subject.people == 1:
        _compose(ledger, rules)
    spoken = {trigger.casefold() for trigger in subject.triggers}
    for tag in sorted(ledger.alive):
        if tag.casefold() in spoken:
            ledger.drop(tag, "the trigger word says it")
    for trigger in subject.triggers:
        ledger.add(trigger, 1.0, "trigger word")
    for tag in subject.media:
        ledger.add(tag, 1.0, "given by the folder")
    categories = {**rules.categories, **dict.fromkeys(subject.media, "added")}
    if subject.rating is not None:
        categories[f"rating:{subject.rating[0]}"] = "rating"
    order = ordered(ledger.alive, categories, subject.triggers)
    short = within_limit(order, subject.triggers, rules.max_tags)
    for tag in set(order) - set(short):
        ledger.drop(tag, f"beyond the limit of {rules.max_tags} tags")
    return short, ledger.rows(short)


def _absorb(ledger: Ledger, subject: Subject, cores: Mapping[str, Mapping[str, Core]]) -> None:
    """Drop core tags of the trigger words, unless the trait may belong to a person without one."""
    for tag in sorted(ledger.alive):
        core = next((cores[trigger][tag] for trigger in subject.triggers if tag in cores.get(trigger, {})), None)
        if core is None:
            continue
        if subject.people is not None and subject.people > len(subject.triggers):
            ledger.keep(tag, ledger.alive[tag], f"core of {core.trigger}, but there are {subject.people} persons")
        else:
            ledger.drop(tag, f"core of {core.trigger}: {core.figures}")


def _compose(ledger: Ledger, rules: Rules) -> None:
    found = list(compose_garments(ledger.alive)) if rules.compose_garments else []
    hair = compose_hair(ledger.alive) if rules.compose_hair else None
    for composed in [*found, *([hair] if hair else [])]:
        for part in composed.parts:
            ledger.rename(part, composed.tag, " + ".join(composed.parts))
