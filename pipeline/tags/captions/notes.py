"""What a person should know about a set once its captions are decided."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from itertools import islice
from pathlib import Path

from pipeline.core.filenames import fits_concept
from pipeline.store.reasons.captions import CaptionReason
from pipeline.store.records import Decision, Tagger
from pipeline.store.values.contradiction import Contradiction
from pipeline.tags.captions import messages
from pipeline.tags.captions.selection import BOORU
from pipeline.tags.captions.thresholds import limits_of, published
from pipeline.tags.captions.triggers import leading, names_in
from pipeline.tags.formats.choice import CaptionFormat
from pipeline.tags.statistics.mined_implications import MinedImplication
from pipeline.tags.statistics.survey import SurveyedImage, Traited
from pipeline.tags.vocabulary.rules_file import EVERYONE


def on_thresholds(taggers: Sequence[Tagger], given: Mapping[str, float | None]) -> Iterator[str]:
    """Taggers that publish no thresholds, where a person gave none for a category (`given`) either."""
    for tagger in taggers:
        if not published(tagger)[0] and None in given.values() and tagger.name != BOORU:
            usual = limits_of(tagger, {}, {}).categories
            general, character = (value or usual[name] for name, value in given.items())
            yield (
                f"{tagger.name} publishes no thresholds: {general} is taken for general tags, {character} for characters"
            )


def on_scores(
    root: Path, surveyed: Sequence[SurveyedImage], taggers: str, captions: Mapping[str, Decision]
) -> Iterator[str]:
    """Images without scores by the taggers, or with nothing in their caption."""
    unscored = [
        each.path
        for each in surveyed
        if each.path in captions and captions[each.path].reason == CaptionReason.NOT_SCORED
    ]
    if taggers and unscored:
        yield f"{messages.many(unscored)} without scores by {taggers}; run: prep tag {root}"
    bare = [path for path, row in captions.items() if row.reason == CaptionReason.NO_TAG_LEFT]
    if bare:
        yield f"{messages.many(bare)} left without tags"
    empty = [path for path, row in captions.items() if not row.value]
    if empty:
        yield f"{messages.many(empty)} with an empty caption"


def on_unknown(taggers: str, unknown: Sequence[str]) -> Iterator[str]:
    """Names in rules that no tagger has a tag of."""
    if unknown:
        yield f"rename, blacklist and thresholds: {taggers} has no tag called {messages.some(unknown)}"


def on_format(form: CaptionFormat) -> Iterator[str]:
    """Quality words that the family of base models does not document."""
    foreign = form.foreign()
    if foreign:
        known = ", ".join(form.family.quality)
        yield f"quality: {messages.some(foreign)}: no word that {form.family.name} documents, which has: {known}"


def on_late_triggers(surveyed: Sequence[SurveyedImage], captions: Mapping[str, Decision]) -> Iterator[str]:
    """A person's captions that do not begin with the trigger words."""
    late = [
        each.path
        for each in surveyed
        if each.path in captions
        and captions[each.path].reason == CaptionReason.MANUAL
        and leading(captions[each.path].value, each.triggers) < len(each.triggers)
    ]
    if late:
        yield f"{messages.many(late)} with a caption by a person that does not begin with the trigger words; see --prefix"


def on_option_keys(
    surveyed: Sequence[SurveyedImage],
    triggers: Iterable[str],
    media: Iterable[str],
    prune: Iterable[str],
    keep: Iterable[str],
    core: Iterable[str],
) -> Iterator[str]:
    """Keys of options that are to name concepts, folders or trigger words, and name nothing in the set."""
    concepts = {image.concept for image in surveyed}
    names = {name for concept in concepts for name in names_in(concept)}
    folders = {part for concept in concepts for part in concept.split("/")}
    leads = {lead for image in surveyed for lead in image.leads}
    no_pattern = [key for key in core if not any(fits_concept(concept, key) for concept in concepts)]
    yield from messages.on_keys("triggers", "concept or name", triggers, concepts | names, names)
    yield from messages.on_keys("media", "folder", media, folders, folders)
    yield from messages.on_keys("prune_tags", "trigger word", prune, leads | {EVERYONE}, leads)
    yield from messages.on_keys("keep", "trigger word", keep, leads | {EVERYONE}, leads)
    yield from messages.on_keys("core", "trigger word", no_pattern, leads, leads)


def info(traited: Traited, mined: Sequence[MinedImplication], core_images: int) -> Iterator[str]:
    """What could not be inferred from the set, and what a person may confirm. `core_images` is what core tags need."""
    few = [f"{trigger} has {count}" for trigger, count in traited.few]
    if few:
        yield (
            f"core tags need {core_images} images of one person alone: {messages.some(few)}; "
            "their traits stay in captions"
        )
    proposed = sum(not each.confirmed for each in mined)
    if proposed:
        yield f"{proposed} pairs of tags always come together, but no name says why; take what is true into the rules"


def lines(
    surveyed: Sequence[SurveyedImage],
    traited: Traited,
    mined: Sequence[MinedImplication],
    odd: Mapping[str, Sequence[Contradiction]],
    fixed: Collection[tuple[str, str]],
) -> Iterator[messages.Line]:
    """The table: core tags, contradictions and mined implications."""
    whom = {image.path: image.whom for image in surveyed if image.path in odd}
    yield from messages.core_lines(traited.cores, traited.traits)
    yield from islice(messages.contradiction_lines(odd, whom, fixed), messages.MOST_ROWS)
    yield from islice(messages.mined_lines(mined), messages.MOST_ROWS)
