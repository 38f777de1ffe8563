"""A caption from scores: the rules in their order, each leaving a reason."""

from __future__ import annotations

import functools
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass

from pipeline.core.caption_text import after_tags, lines_of
from pipeline.core.filenames import fits_pattern
from pipeline.store.reasons.reason import NOTHING
from pipeline.store.reasons.tags import TagCause, TagReason
from pipeline.store.values.contradiction import Contradiction
from pipeline.store.values.tags import TagAction, TagDecision
from pipeline.tags.captions.ledger import Ledger
from pipeline.tags.captions.order import ordered, within_limit
from pipeline.tags.captions.selection import Choice
from pipeline.tags.captions.triggers import leading
from pipeline.tags.formats.choice import CaptionFormat
from pipeline.tags.statistics.core_tags import Traits
from pipeline.tags.vocabulary.aliases import Vocabulary, split_caption
from pipeline.tags.vocabulary.attributes import attribute_of, compatible
from pipeline.tags.vocabulary.composition import Compose, compose_garments, compose_hair
from pipeline.tags.vocabulary.implications import Implications
from pipeline.tags.vocabulary.prose import is_prose
from pipeline.tags.vocabulary.quality_tags import quality_flag
from pipeline.tags.vocabulary.token_count import Tokens, within_tokens
from pipeline.tags.vocabulary.unsaid_tags import unsaid


@dataclass(frozen=True, slots=True)
class Rules:
    """What is done to every caption, whatever it shows. Names are in the spelling of captions.

    `categories` is tag → category; `banned` says why a tag is never in a caption, None for most; `implications` are None
    where nothing is needless; `compose` says what is joined; `rank` that of `ordered`; `tokens`
    is needed where `max_tokens` is not 0.
    """

    categories: Mapping[str, str]
    banned: Callable[[str], TagCause | None]
    keep_quality: bool
    implications: Implications | None
    compose: Compose
    rank: Mapping[str, float] | None
    max_tags: int
    max_tokens: int
    tokens: Tokens | None
    separator: str
    keep_separator: str
    format: CaptionFormat


@dataclass(frozen=True, slots=True)
class Subject:
    """What is known of one image beside its tags.

    `triggers` are all trigger words, `leads` the first one of everyone in the folder; `people` is None where nothing
    tells; `one_picture` is False for comics and sheets of views; `media` comes by folder; `beside` are the words of the
    format → their group; `fixes` are the contradictions to fix.
    """

    triggers: tuple[str, ...]
    leads: tuple[str, ...]
    people: int | None
    one_picture: bool
    media: tuple[str, ...]
    beside: Mapping[str, str]
    fixes: Sequence[Contradiction] = ()


GENERAL_KEPT = TagCause(TagReason.GENERAL)
RENAMED_AS_ASKED, ALIAS = TagCause(TagReason.RENAMED_AS_ASKED), TagCause(TagReason.ALIAS)


class Names:
    """What every tag of a tagger is called in captions, and why; found once for each."""

    def __init__(self, vocabulary: Vocabulary, rename: Mapping[str, str]) -> None:
        self.vocabulary, self.rename = vocabulary, rename
        self._known: dict[str, tuple[str, TagCause | None]] = {}
        self._plain: set[str] = set()

    def changed(self, tags: Collection[str]) -> list[tuple[str, str, TagCause]]:
        """(tag, its name, why) of those that are called otherwise, by tag."""
        if self._plain.issuperset(tags):
            return []
        found = [(tag, *self.of(tag)) for tag in sorted(tags)]
        self._plain.update(tag for tag, name, _ in found if tag == name)
        return [(tag, name, why) for tag, name, why in found if tag != name and why is not None]

    def of(self, tag: str) -> tuple[str, TagCause | None]:
        """(the name, why); the tag itself and None where it keeps its name."""
        if tag not in self._known:
            usual = self.vocabulary.usual(tag)
            asked = self.rename.get(tag, self.rename.get(usual))
            why = RENAMED_AS_ASKED if asked is not None else ALIAS if usual != tag else None
            self._known[tag] = (usual if asked is None else asked, why)
        return self._known[tag]


def ban(
    blacklist: Sequence[str], categories: Mapping[str, str], left_out: Collection[str]
) -> Callable[[str], TagCause | None]:
    """Why a tag is in no caption: it is listed, fits a pattern, or is of a category that is left out; None if it may be."""

    @functools.cache
    def why(tag: str) -> TagCause | None:
        category = categories.get(tag, "general")
        group = unsaid(tag) or category if category in ("general", "meta") else category
        if group in left_out or category in left_out:
            return TagCause(TagReason.CATEGORY_EXCLUDED, {"category": group if group in left_out else category})
        pattern = next((each for each in blacklist if fits_pattern(tag, each)), None)
        if pattern is None:
            return None
        return TagCause(TagReason.BLACKLISTED, NOTHING if pattern == tag else {"pattern": pattern})

    return why


def chosen_tags(
    choices: Sequence[Choice], names: Names, banned: Callable[[str], TagCause | None], rating: tuple[str, float] | None
) -> Ledger:
    """The tags that scores, names and the blacklist leave."""
    ledger = Ledger()
    ledger.consider(choices)
    if rating is not None:
        ledger.add(f"rating:{rating[0]}", rating[1], TagCause(TagReason.RATING))
    for tag, into, why in names.changed(ledger.alive):
        ledger.rename(tag, into, why)
    for tag, cause in [pair for pair in zip(ledger.alive, map(banned, ledger.alive), strict=True) if pair[1]]:
        assert cause is not None
        ledger.drop(tag, cause)
    return ledger


def caption_tags(
    ledger: Ledger, subject: Subject, rules: Rules, traits: Traits
) -> tuple[tuple[str, ...], tuple[TagDecision, ...]]:
    """Finish the ledger of `chosen_tags`: returns the caption's tags in order, and what became of every tag."""
    for found in subject.fixes:
        fix(ledger, found)
    if not rules.keep_quality:
        flags = zip(ledger.alive, map(quality_flag, ledger.alive), strict=True)
        for tag, flag in [pair for pair in flags if pair[1]]:
            ledger.drop(tag, TagCause(TagReason.QUALITY, {"flag": flag}))
    if rules.implications is not None:
        _consolidate(ledger, rules.implications, subject.people is None or subject.people < 2)
    worn = tuple(ledger.alive)
    _prune_into_triggers(ledger, subject, traits)
    if subject.people == 1 and subject.one_picture:
        _compose(ledger, rules.compose, rules.banned, worn)
    _speak(ledger, subject)
    form = rules.format
    order = ordered(ledger.alive, rules.categories, subject.triggers, rules.rank, form.order, subject.beside)
    order = _cut(ledger, _written(ledger, order, subject, rules), subject, rules)
    return order, ledger.decisions(order)


def _consolidate(ledger: Ledger, known: Implications, one_person: bool) -> None:
    """Drop what a more exact tag says, and let the general tag stand for its class where only that is kept."""
    if known.levels:
        for tag in list(ledger.alive):
            if (general := known.general(tag)) != tag:
                ledger.rename(tag, general, GENERAL_KEPT)
    for tag, better in known.needless(ledger.alive, one_person).items():
        ledger.drop(tag, known.cause(tag, better))


def fix(ledger: Ledger, found: Contradiction) -> None:
    """Carry out the proposed fix of a contradiction; one that says to look is left."""
    cause = TagCause(TagReason.CONFLICT_FIXED, found.data)
    if found.fix == "add":
        ledger.add(found.dominant, found.dominant_score or 0.0, cause)
    elif found.fix in ("drop", "replace"):
        rivals = [
            tag for tag in ledger.alive if attribute_of(tag) == found.attribute and not compatible(tag, found.dominant)
        ]
        for tag in rivals:
            if found.fix == "drop":
                ledger.drop(tag, cause)
            else:
                ledger.rename(tag, found.dominant, cause)


def _prune_into_triggers(ledger: Ledger, subject: Subject, traits: Traits) -> None:
    """Drop the tags that are pruned into trigger words, unless a trait may belong to a person without one."""
    stay = {tag: why for lead in subject.leads for tag, why in traits.kept.get(lead, {}).items() if tag in ledger.alive}
    for tag, why in stay.items():
        ledger.keep(tag, ledger.alive[tag], why)
    crowd = subject.people is not None and subject.people > len(subject.leads)
    for lead in subject.leads:
        for tag in traits.pruned.get(lead, {}).keys() & ledger.alive.keys() - stay.keys():
            if crowd:
                persons = {"trigger": lead, "people": subject.people}
                ledger.keep(tag, ledger.alive[tag], TagCause(TagReason.CORE_CROWD, persons))
            else:
                ledger.drop(tag, traits.pruned[lead][tag])


def _compose(ledger: Ledger, compose: Compose, banned: Callable[[str], TagCause | None], worn: Iterable[str]) -> None:
    """Join colours and garments. What was pruned into a trigger word is still `worn`, and takes its colour with it."""
    if compose == "none":
        return
    garments = compose_garments(worn, unseen=compose != "garments")
    for joined in garments:
        thing, colour = joined.parts
        if thing not in ledger.alive and colour in ledger.alive and ledger.is_core(thing):
            ledger.drop(colour, TagCause(TagReason.COLOUR_OF_CORE, {"thing": thing}))
    hair = compose_hair(ledger.alive) if compose == "all" else None
    for joined in [*garments, *([hair] if hair else [])]:
        if joined.exists and not set(joined.parts) - ledger.alive.keys() and not banned(joined.tag):
            for part in joined.parts:
                ledger.rename(part, joined.tag, TagCause(TagReason.JOINED, {"parts": joined.parts}))


def _speak(ledger: Ledger, subject: Subject) -> None:
    """Put the trigger words in, and what the folder gives."""
    lowered = {trigger.casefold() for trigger in subject.triggers}
    if not lowered.isdisjoint(map(str.casefold, ledger.alive)):
        for tag in [tag for tag in ledger.alive if tag.casefold() in lowered]:
            ledger.drop(tag, TagCause(TagReason.SAID_BY_TRIGGER))
    for trigger in subject.triggers:
        ledger.add(trigger, 1.0, TagCause(TagReason.TRIGGER))
    for tag in subject.media:
        if tag.casefold() not in lowered:
            ledger.add(tag, 1.0, TagCause(TagReason.FOLDER_TAG))
    for word, group in subject.beside.items():
        if word.casefold() not in lowered:
            ledger.add(word, 1.0, TagCause(TagReason.FORMAT_WORD, {"group": group}))


def _written(ledger: Ledger, order: tuple[str, ...], subject: Subject, rules: Rules) -> tuple[str, ...]:
    """The tags in the words of the format, by a row each that is written otherwise."""
    if rules.format.plain:
        return order
    why, said = TagCause(TagReason.FORMAT, {"format": rules.format.family.name}), list[str]()
    stay = {*subject.triggers, *subject.beside}
    for tag in order:
        texts = (tag,) if tag in stay else rules.format.written(tag, rules.categories.get(tag, "general"))
        said += texts
        if texts != (tag,):
            score = ledger.alive[tag]
            ledger.rename(tag, texts[0], why)
            for more in texts[1:]:
                ledger.add(more, score, TagCause(TagReason.FORMAT, {**why.data, "from": tag}))
    return tuple(dict.fromkeys(said))


def _cut(ledger: Ledger, order: tuple[str, ...], subject: Subject, rules: Rules) -> tuple[str, ...]:
    """Leave out what is beyond the limits, by a row each; trigger words and those of the format stay."""
    spared = {*subject.triggers, *subject.beside}
    short = within_limit(order, spared, rules.max_tags)
    _drop(ledger, order, short, TagCause(TagReason.TAG_LIMIT, {"limit": rules.max_tags}))
    if not rules.max_tokens or rules.tokens is None:
        return short
    fixed = [tag for tag in short if tag in spared]
    head = with_separator(fixed, subject.triggers, rules.keep_separator)
    movable = [tag for tag in short if tag not in spared]
    stay = spared.union(movable[: within_tokens(movable, head, rules.max_tokens, rules.tokens, rules.separator)])
    fitting = tuple(tag for tag in short if tag in stay)
    _drop(ledger, short, fitting, TagCause(TagReason.TOKEN_LIMIT, {"limit": rules.max_tokens}))
    return fitting


def _drop(ledger: Ledger, before: Iterable[str], after: Collection[str], why: TagCause) -> None:
    left = set(after)
    for tag in before:
        if tag not in left:
            ledger.drop(tag, why)


def with_separator(order: Sequence[str], triggers: Sequence[str], mark: str) -> tuple[str, ...]:
    """The tags of a caption with a mark behind the trigger words, for trainers that keep what stands before it."""
    if not mark or not triggers:
        return tuple(order)
    return (*order[: len(triggers)], mark, *order[len(triggers) :])


def written(text: str, triggers: tuple[str, ...], prefix: bool, separator: str) -> tuple[str, tuple[TagDecision, ...]]:
    """A person's caption and its rows: trigger words it begins with are those, and a text in sentences stays whole.

    Args:
        prefix: put the trigger words in front that it does not begin with.
    """
    lines = [_line(line, triggers, prefix, separator) for line in lines_of(text) or [text]]
    rows: dict[str, TagDecision] = {}
    for _, found in lines:
        rows |= {row.tag: row for row in found if row.tag not in rows}
    leads = [row for row in rows.values() if row.is_trigger]
    return "\n".join(line for line, _ in lines), (*leads, *(row for row in rows.values() if not row.is_trigger))


def _line(text: str, triggers: tuple[str, ...], prefix: bool, separator: str) -> tuple[str, tuple[TagDecision, ...]]:
    """One line of a person's caption and its rows; each line is a caption of its own."""
    count = leading(text, triggers)
    head = list(split_caption(text)[:count])
    if prefix:
        held = {word.casefold() for word in head}
        lacking = [word for word in triggers if word.casefold() not in held]
        text = separator.join([*lacking, text] if text else lacking)
        head, count = [*lacking, *head], count + len(lacking)
    if is_prose(text):
        rest = after_tags(text, count).strip()
        tags = [rest] if rest else []
    else:
        tags = [tag for tag in dict.fromkeys(split_caption(text)) if tag not in head]
    lead = (TagDecision(word, TagAction.ADDED, TagReason.TRIGGER) for word in head)
    return text, (*lead, *(TagDecision(tag, TagAction.KEPT, TagReason.MANUAL) for tag in tags))
