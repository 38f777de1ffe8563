"""Turn scores into captions: choose and rename tags, drop what is implied or prunes into the trigger, trigger words first.

Every tag considered leaves a row that says what became of it and why. A caption file that a person changed is taken
in and wins over every rule; delete the file to have prep write it again. No model is needed: a new threshold is a new
plan from the same scores.
"""

from __future__ import annotations

import contextlib
import gc
import math
import re
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import Literal, NamedTuple

from pipeline.core.errors import PrepError
from pipeline.core.files import file_digest
from pipeline.store.caption_files import lost, plain
from pipeline.store.manifest import Manifest
from pipeline.store.reasons.captions import CaptionReason
from pipeline.store.reasons.reason import Data
from pipeline.store.reasons.tags import TagCause, TagReason
from pipeline.store.records import THE_SET, Decision, Image, Plan, Tagger
from pipeline.store.stage import Stage
from pipeline.store.values.contradiction import Contradiction
from pipeline.store.values.tags import TagAction, TagDecision
from pipeline.tags.captions import messages
from pipeline.tags.captions.build import (
    Names,
    Rules,
    Subject,
    ban,
    caption_tags,
    chosen_tags,
    with_separator,
    written,
)
from pipeline.tags.captions.flags import contradiction_rows, flag_rows
from pipeline.tags.captions.manual_edits import overlaid
from pipeline.tags.captions.selection import Combine, TaggerVote, best_rating, choose_together
from pipeline.tags.captions.thresholds import limits_of, published
from pipeline.tags.captions.triggers import leading, names_in, subjects
from pipeline.tags.statistics.core_tags import MODES, fits
from pipeline.tags.statistics.learned_implications import Learned
from pipeline.tags.statistics.survey import (
    Odd,
    SurveyedImage,
    Traited,
    find_contradictions,
    find_rules,
    find_traits,
    merged,
    modes,
    ranks,
)
from pipeline.tags.vocabulary.aliases import Vocabulary, canonical, resolved, unknown_names
from pipeline.tags.vocabulary.attributes import NAMED
from pipeline.tags.vocabulary.person_count import people
from pipeline.tags.vocabulary.quality_tags import flags_of
from pipeline.tags.vocabulary.rules_file import EVERYONE, RuleFile, lists_of, read_rules
from pipeline.tags.vocabulary.token_count import Tokens, load_tokens, tokenizer_files

NAME = "curate"
NO_TAGGER = "none"
BOORU = "booru"
"""The tagger that tags from image boards are recorded under; they are certain."""
_BATCH = 500


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    tagger: str = ""
    """Whose scores to use, by name, several joined by +; the tagger used last if not given, none for captions of
    trigger words only."""
    combine: Combine = "union"
    """Where several taggers speak: take a tag that one of them gives (union), that all who know it give (intersection),
    or whose mean probability reaches their mean threshold (mean)."""
    general: float | None = None
    """Probability from which a general tag holds; what the model publishes if not given."""
    character: float | None = None
    """Probability from which a character tag holds; what the model publishes if not given."""
    thresholds: Mapping[str, float] = field(default_factory=dict)
    """Probability from which one tag holds, whatever holds for its like; wariza=0.6."""
    threshold: Literal["fixed", "gap"] = "fixed"
    """Cut at the thresholds, or in the largest gap of each image's probabilities, held between 0.15 and 0.5."""
    floor: float = 0.1
    """Probability below which a tag is not even listed as considered."""
    rating: bool = False
    """Add the most probable rating as a tag, such as rating:general."""
    characters: Literal["keep", "drop"] = "keep"
    """Keep the names of characters that the tagger knows, or leave them out."""
    copyrights: Literal["after", "mixed", "drop"] = "after"
    """Put the names of series after the characters, among the general tags by their score, or leave them out."""
    prune: Literal["core", "none"] = "core"
    """Drop the traits that make a character (core), so that the trigger word absorbs them, or keep them (none)."""
    core: Mapping[str, str] = field(default_factory=dict)
    """What to do with the core traits of one trigger word, or of concepts by pattern: absorb, keep for them to be
    promptable, or none to look for none; Lumi=keep."""
    styles: tuple[str, ...] = ("artists/*", "artist/*", "styles/*", "style/*")
    """Patterns of concepts that are styles: their trigger words absorb nothing."""
    absorb: Mapping[str, str] = field(default_factory=dict)
    """Tags that a trigger word absorbs whatever the figures say, separated by commas; * for all; Lumi="ahoge, watch"."""
    keep: Mapping[str, str] = field(default_factory=dict)
    """Tags that stay promptable although they make a trigger word's character, separated by commas; * for all."""
    core_share: float = 0.75
    """Share of a trigger word's own single-person images that must show a trait for it to be core."""
    core_lift: float = 1.3
    """How many times more often than other images they must show it."""
    core_images: int = 5
    """Single-person images a trigger word needs before anything is said of its traits."""
    consolidate: bool = True
    """Drop a tag beside one that says more: hat beside witch hat."""
    learn: bool = True
    """Find in the set's own scores which tag always comes with another; used where their names confirm it, as sword
    beside holding sword, and proposed where they do not."""
    compose: Literal["none", "garments", "all"] = "garments"
    """Join what belongs together on one person: boots and red footwear to red boots; all joins hair as well, such as
    long white hair."""
    contradictions: Literal["report", "fix"] = "report"
    """Images whose hair, eyes, skin, count, time of day, background or colour of clothes contradict the others of
    their concept: list them with a proposed fix, or fix them."""
    fix: tuple[str, ...] = ()
    """What to fix, by attribute such as "hair colour" or by image; everything that is listed if not given."""
    contradiction_share: float = 0.8
    """Share of a concept's single-person images that must agree for the others to be at odds with them."""
    keep_quality: bool = False
    """Leave watermark, signature, text, censoring and border tags in captions; images are flagged all the same."""
    blacklist: tuple[str, ...] = ()
    """Tag, or pattern such as *background*, to leave out of every caption."""
    rename: Mapping[str, str] = field(default_factory=dict)
    """Another name for a tag."""
    rules: Path | None = None
    """File of rules, one a line: rename: ;) -> wink; drop: *background*; threshold: wariza = 0.6; keep: Lumi: hat;
    absorb: Lumi: ahoge; imply: holding sword -> sword; distinct: hair bow -> bow. Options go before it."""
    triggers: Mapping[str, str] = field(default_factory=dict)
    """Trigger words of a concept or of a name in its folder, separated by commas; Lumi="lumi, white witch"."""
    trigger_from: Literal["folder", "none"] = "folder"
    """Take the name of the last folder as trigger word where none is given; it is split at +."""
    prefix: bool = False
    """Put the trigger words before captions that a person wrote and that do not begin with them; the files stay."""
    media: Mapping[str, str] = field(default_factory=dict)
    """Tag for every image below a folder of that name; screenshots="anime screenshot"."""
    order: Literal["score", "frequency", "vocabulary"] = "score"
    """Order of the tags behind trigger words, counts, characters and series: the most probable first, the commonest of
    the set first, or as the tagger lists them."""
    max_tags: int = 0
    """Tags in a caption beside the trigger words, those at the end of it go first; 0 is no limit."""
    max_tokens: int = 0
    """Tokens of a caption, trigger words and commas counted, those at the end go first; 75 fill one CLIP window; 0 is
    no limit; needs the tokenizer."""
    tokenizer: Path | None = None
    """The base model's tokenizer.json, or its folder called tokenizer: counts tokens, and finds trigger words that share
    some."""
    separator: str = ", "
    """What stands between two tags."""
    keep_separator: str = ""
    """A mark behind the trigger words, such as |||, for trainers that keep in place what stands before it."""

    def __post_init__(self) -> None:
        _check_figures(self)
        _check_texts(self)
        _check_choices(self)


def _check_figures(options: Options) -> None:
    for name in ("general", "character", "floor", "core_share", "contradiction_share"):
        value = getattr(options, name)
        if value is not None and not (math.isfinite(value) and 0 < value <= 1):
            raise PrepError(f"{name} is {value}", "give a probability above 0, at most 1")
    for tag, value in options.thresholds.items():
        if not (math.isfinite(value) and 0 < value <= 1):
            raise PrepError(f"thresholds: {tag} = {value}", "give a probability above 0, at most 1")
    if not (math.isfinite(options.core_lift) and options.core_lift >= 1):
        raise PrepError(
            f"core_lift is {options.core_lift}", "give 1 or more; below 1 a trait would be rarer than elsewhere"
        )
    if options.core_images < 1 or options.max_tags < 0 or options.max_tokens < 0:
        raise PrepError(
            f"core_images is {options.core_images}, max_tags is {options.max_tags}, max_tokens is {options.max_tokens}",
            "give at least 1 image, and 0 tags or tokens for no limit",
        )


def _check_texts(options: Options) -> None:
    if "," not in options.separator or "\n" in options.separator:
        raise PrepError(f"separator is {options.separator!r}", 'give a comma with or without spaces, such as ", "')
    if options.keep_separator.strip() != options.keep_separator or re.search(r"[,\n]", options.keep_separator):
        raise PrepError(
            f"keep_separator is {options.keep_separator!r}", "give a mark without commas or spaces, such as |||"
        )
    for option in ("rename", "media"):
        for key, text in getattr(options, option).items():
            if not text.strip() or "," in text or "\n" in text:
                raise PrepError(
                    f"{option}: {key} = {text!r}", "give one tag, without commas; to drop a tag use blacklist"
                )


def _check_choices(options: Options) -> None:
    for key, mode in options.core.items():
        if mode not in MODES:
            raise PrepError(f"core: {key} = {mode!r}", f"give one of {', '.join(MODES)}")
    if options.fix and options.contradictions != "fix":
        raise PrepError(
            f"fix names {', '.join(options.fix)}, but contradictions are only reported", "add --contradictions fix"
        )
    if options.max_tokens and options.tokenizer is None:
        raise PrepError(
            f"max_tokens is {options.max_tokens} without a tokenizer",
            "give --tokenizer, the base model's tokenizer.json or its folder called tokenizer",
        )


def observe(manifest: Manifest, options: Options) -> str:
    """Whose scores would be used, and what the files of rules and of the tokenizer hold."""
    files: list[Path] = [options.rules] if options.rules else []
    if options.tokenizer is not None and options.tokenizer.exists():
        files += tokenizer_files(options.tokenizer)
    seen = [file_digest(file) if file.is_file() else "no file" for file in files]
    return " ".join([*(tagger.id for tagger in _taggers(manifest, options)), *seen])


def missing(manifest: Manifest, options: Options) -> str:
    return lost(manifest)


def plan(manifest: Manifest, options: Options) -> Plan:
    """One caption and one list of considered tags for every kept image; flags and contradictions where there are."""
    taggers = _taggers(manifest, options)
    images = manifest.kept()
    human = _human(manifest)
    if not taggers and options.tagger != NO_TAGGER and any(image.path not in human.captions for image in images):
        raise PrepError(
            "no image was scored yet",
            f"run first: prep tag {manifest.root}; or give --tagger {NO_TAGGER} for trigger words only",
        )
    asked = _asked(options, taggers)
    with _no_collecting():
        surveyed = [_image(image, scores, asked) for image, scores in _scored(manifest, taggers, images)]
        return _plan(manifest.root, surveyed, asked, human)


def _plan(root: Path, surveyed: Sequence[SurveyedImage], asked: _Asked, human: _Human) -> Plan:
    found = _find(surveyed, asked)
    fixed = _to_fix(found.odd, asked.options, frozenset(image.path for image in surveyed))
    closed = human.captions.keys() | human.unreadable
    odd = {path: held for path, held in found.odd.found.items() if path not in closed}
    rows = tuple(_captions(surveyed, asked, found, human, fixed))
    captions = {row.path: row for row in rows if row.field == "caption"}
    flags = Counter(flag for image in surveyed for flag in image.flags)
    return Plan(
        NAME,
        ("caption", "tags", "flags", "contradictions"),
        (*rows, *flag_rows(surveyed), *contradiction_rows(odd, fixed)),
        notes=(
            *_notes_on_scores(root, surveyed, asked, captions),
            *_notes_on_words(surveyed, asked, captions),
            *messages.on_files([image.path for image in surveyed if image.path in human.unreadable]),
            *messages.on_contradictions(odd, fixed),
            *messages.on_flags(flags, asked.options.keep_quality),
        ),
        remarks=tuple(_remarks(asked, found)),
        table=tuple(_lines(surveyed, found, odd, fixed)),
        counts={f"flag:{flag}": count for flag, count in sorted(flags.items())},
    )


def _human(manifest: Manifest) -> _Human:
    rows = manifest.decisions("human")
    return _Human(
        {path: plain(row.value) for path, row in rows.items() if row.value is not None},
        {path: row.data for path, row in rows.items()},
        frozenset(path for path, row in rows.items() if row.value is None),
        {path: row.value for path, row in manifest.decisions("overlay").items()},
    )


@contextlib.contextmanager
def _no_collecting() -> Iterator[None]:
    """Look for no cycles meanwhile: there are none among millions of rows, and looking takes a third of the time."""
    was = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was:
            gc.enable()


# --- what was asked


@dataclass(frozen=True, slots=True)
class _Asked:
    """Options and rules together, with the names of tags as the taggers know them."""

    options: Options
    taggers: tuple[Tagger, ...]
    vocabulary: Vocabulary
    voices: tuple[TaggerVote, ...]
    names: Names
    absorb: Mapping[str, tuple[str, ...]]
    keep: Mapping[str, tuple[str, ...]]
    imply: tuple[tuple[str, str], ...]
    distinct: frozenset[tuple[str, str]]
    tokens: Tokens | None
    banned: Callable[[str], TagCause | None]
    unknown: tuple[str, ...]

    @property
    def told(self) -> Data:
        """What a decision says of the taggers."""
        return {"by": [tagger.name for tagger in self.taggers], "taggers": [tagger.id for tagger in self.taggers]}

    @property
    def seen_by(self) -> str:
        return " + ".join(tagger.name for tagger in self.taggers)


def _asked(options: Options, taggers: tuple[Tagger, ...]) -> _Asked:
    rules = read_rules(options.rules) if options.rules else RuleFile()
    categories: dict[str, str] = {}
    for tagger in taggers:
        categories = {**tagger.categories, **categories}
    vocabulary = Vocabulary(categories)
    known = vocabulary.spelled
    rename = {known(old): new for old, new in rules.rename.items()}
    rename |= {known(old): canonical(new) for old, new in options.rename.items()}
    blacklist = tuple(
        each if set("*?[") & set(each) and each not in categories else known(each)
        for each in map(canonical, (*options.blacklist, *rules.drop))
    )
    by_tag = {known(tag): value for tag, value in (*rules.threshold.items(), *options.thresholds.items())}
    given = {"general": options.general, "character": options.character}
    by_category = {category: value for category, value in given.items() if value is not None}
    drops = {"character": options.characters, "copyright": options.copyrights}
    left_out = frozenset(category for category, what in drops.items() if what == "drop")
    absorb, keep = (lists_of(getattr(rules, name), getattr(options, name), known) for name in ("absorb", "keep"))
    for trigger in absorb.keys() & keep.keys():
        both = sorted(set(absorb[trigger]) & set(keep[trigger]))
        if both:
            raise PrepError(
                f"{trigger} is both to absorb and to keep: {', '.join(both)}", "take them from one of the lists"
            )
    return _Asked(
        options,
        taggers,
        vocabulary,
        tuple(TaggerVote(tagger.id, tagger.categories, limits_of(tagger, by_category, by_tag)) for tagger in taggers),
        Names(vocabulary, resolved(rename)),
        absorb,
        keep,
        tuple((known(child), known(parent)) for child, parent in rules.imply),
        frozenset((known(child), known(parent)) for child, parent in rules.distinct),
        load_tokens(options.tokenizer) if options.tokenizer else None,
        ban(blacklist, categories, left_out),
        unknown_names(categories, rename, blacklist, by_tag),
    )


def _taggers(manifest: Manifest, options: Options) -> tuple[Tagger, ...]:
    """The taggers whose scores count: those named, else those that `prep tag` used last, else any."""
    if options.tagger == NO_TAGGER:
        return ()
    known = manifest.taggers()
    if options.tagger:
        names = [options.tagger] if _named(known, options.tagger) else options.tagger.split("+")
        found = {name.strip(): _named(known, name.strip()) for name in names}
        lost = [name for name, tagger in found.items() if tagger is None]
        if lost:
            names = list(dict.fromkeys(tagger.name for tagger in known.values())) or ["none yet"]
            raise PrepError(
                f"no scores by {lost[0]!r}; there are scores by: {', '.join(names)}",
                f"run first: prep tag --model {lost[0]} {manifest.root}",
            )
        return tuple({tagger.id: tagger for tagger in found.values() if tagger}.values())
    chosen = manifest.decisions("tagger").get(THE_SET)
    value = chosen.value if chosen is not None else []
    last = tuple(known[name] for name in value if name in known)
    return last or tuple(known.values())[-1:]


def _named(known: Mapping[str, Tagger], name: str) -> Tagger | None:
    """The newest tagger of a name or id."""
    return next((tagger for tagger in reversed(list(known.values())) if name in (tagger.name, tagger.id)), None)


# --- what the images show


def _scored(
    manifest: Manifest, taggers: Sequence[Tagger], images: Sequence[Image]
) -> Iterator[tuple[Image, dict[str, dict[str, float]]]]:
    """Every image with tagger id → tag → probability; a few hundred at a time, as all of them fill the memory."""
    for start in range(0, len(images), _BATCH):
        batch = images[start : start + _BATCH]
        contents = tuple({image.content for image in batch})
        ids = tuple(tagger.id for tagger in taggers)
        found: dict[str, dict[str, dict[str, float]]] = {}
        for content, tagger, scores in manifest.scores_of(contents, ids):
            found.setdefault(content, {})[tagger] = scores
        for image in batch:
            yield image, found.get(image.content, {})


def _image(image: Image, scores: Mapping[str, Mapping[str, float]], asked: _Asked) -> SurveyedImage:
    """One image with the tags that its scores, the names and the blacklist leave."""
    options = asked.options
    choices = choose_together(scores, asked.voices, options.combine, options.floor, options.threshold == "gap")
    rating = None
    if options.rating:
        ratings = (best_rating(scores[voice.name], voice.categories) for voice in asked.voices if voice.name in scores)
        rating = next((found for found in ratings if found is not None), None)
    ledger = chosen_tags(choices, asked.names, asked.banned, rating)
    held = {choice.tag: choice.score for choice in choices if choice.chosen}
    counted = people(held)
    named = len(names_in(image.concept))
    return SurveyedImage(
        image.path,
        image.concept,
        subjects(image.concept, options.triggers, options.trigger_from == "folder"),
        bool(scores),
        max(counted or 0, named) if named > 1 else counted,
        ledger,
        rating,
        flags_of(held),
    )


@dataclass(frozen=True, slots=True)
class _Found:
    """What the set as a whole tells."""

    traited: Traited
    learned: Sequence[Learned]
    odd: Odd
    rules: Rules


def _find(surveyed: Sequence[SurveyedImage], asked: _Asked) -> _Found:
    options = asked.options
    mode = modes(surveyed, options.prune == "core", options.core, options.styles)
    figures = (options.core_share, options.core_lift, options.core_images)
    traited = find_traits(surveyed, mode, figures, (asked.absorb, asked.keep))
    learned = find_rules(surveyed) if options.learn and options.consolidate else []
    odd = find_contradictions(surveyed, traited.traits, options.contradiction_share, options.core_images)
    categories = dict(asked.vocabulary.categories)
    for tag, new in asked.names.rename.items():
        if tag in categories:
            categories.setdefault(new, categories[tag])
    categories |= {f"rating:{tag}": "rating" for tag, category in categories.items() if category == "rating"}
    categories |= dict.fromkeys(options.media.values(), "added")
    if options.copyrights == "mixed":
        categories = {tag: "general" if category == "copyright" else category for tag, category in categories.items()}
    rules = Rules(
        categories=categories,
        banned=asked.banned,
        keep_quality=options.keep_quality,
        consolidate=options.consolidate,
        more=merged(learned, asked.imply),
        never=asked.distinct,
        compose_garments=options.compose != "none",
        compose_hair=options.compose == "all",
        rank=ranks(surveyed, options.order, tuple(asked.vocabulary.categories)),
        max_tags=options.max_tags,
        max_tokens=options.max_tokens,
        tokens=asked.tokens,
        separator=options.separator,
        keep_separator=options.keep_separator,
    )
    return _Found(traited, learned, odd, rules)


def _to_fix(odd: Odd, options: Options, paths: frozenset[str]) -> frozenset[tuple[str, str]]:
    """(image, attribute) of the contradictions that were asked to be fixed.

    Raises:
        PrepError: what was named is neither an attribute nor an image.
    """
    if options.contradictions != "fix":
        return frozenset()
    attributes = sorted({*NAMED, *(each.attribute for found in odd.found.values() for each in found)})
    lost = [name for name in options.fix if name not in paths and name not in attributes]
    if lost:
        raise PrepError(
            f"fix names {', '.join(map(repr, lost))}, which is neither an attribute nor a kept image",
            f"attributes are: {', '.join(attributes)}; images are named as in images/Lumi/a.png",
        )
    return frozenset(
        (path, each.attribute)
        for path, found in odd.found.items()
        for each in found
        if each.fix != "look" and (not options.fix or path in options.fix or each.attribute in options.fix)
    )


# --- rows


class _Human(NamedTuple):
    """What people wrote: path → caption and → where it came from, whose files cannot be read, and → edits of tags."""

    captions: Mapping[str, str]
    origin: Mapping[str, Data]
    unreadable: frozenset[str]
    overlays: Mapping[str, Sequence[Sequence[str]]]


def _captions(
    surveyed: Sequence[SurveyedImage], asked: _Asked, found: _Found, human: _Human, fixed: frozenset[tuple[str, str]]
) -> Iterator[Decision]:
    """The caption and tags of every image; no caption where the file beside it must not be touched."""
    options = asked.options
    for image in surveyed:
        path = image.path
        if path in human.unreadable:
            yield Decision(path, "tags", [], CaptionReason.NOT_UTF8)
        elif path in human.captions:
            text, rows = written(human.captions[path], image.triggers, options.prefix, options.separator)
            same = text == human.captions[path]
            reason = CaptionReason.MANUAL if same else CaptionReason.MANUAL_WITH_TRIGGERS
            yield Decision(path, "caption", text, reason, human.origin[path])
            yield Decision(path, "tags", rows, CaptionReason.MANUAL_TAGS)
        else:
            fixes = [each for each in found.odd.found.get(path, ()) if (path, each.attribute) in fixed]
            yield from _decided(image, asked, found, fixes, human.overlays.get(path, ()))


def _decided(
    image: SurveyedImage, asked: _Asked, found: _Found, fixes: Sequence[Contradiction], edits: Sequence[Sequence[str]]
) -> Iterator[Decision]:
    """The caption and tags that the rules give an image, and what a person edited of them."""
    options = asked.options
    media = dict.fromkeys(options.media[part] for part in image.concept.split("/") if part in options.media)
    subject = Subject(image.triggers, image.leads, image.people, tuple(media), fixes)
    order, rows = caption_tags(image.ledger, subject, found.rules, found.traited.traits)
    order, rows = overlaid(order, rows, subject.triggers, edits)
    left = len(order) > len(subject.triggers)
    scored = CaptionReason.CHOSEN if left else CaptionReason.NO_TAG_LEFT
    reason = scored if image.scored else CaptionReason.NOT_SCORED
    counts = {"tags": len(order), "considered": len(rows) - len(order)}
    said = with_separator(order, subject.triggers, options.keep_separator)
    if len(said) > len(order):
        rows = (*rows, TagDecision(options.keep_separator, TagAction.ADDED, TagReason.KEEP_SEPARATOR))
    yield Decision(image.path, "caption", options.separator.join(said), reason, counts)
    seen = CaptionReason.SCORED_TAGS if image.scored else CaptionReason.TAGS_WITHOUT_SCORES
    yield Decision(image.path, "tags", rows, seen, asked.told)


# --- what a person should know


def _lines(
    surveyed: Sequence[SurveyedImage],
    found: _Found,
    odd: Mapping[str, Sequence[Contradiction]],
    fixed: frozenset[tuple[str, str]],
) -> Iterator[messages.Line]:
    whom = {image.path: image.whom for image in surveyed if image.path in odd}
    yield from messages.core_lines(found.traited.cores, found.traited.traits)
    yield from islice(messages.contradiction_lines(odd, whom, fixed), messages.MOST_ROWS)
    yield from islice(messages.learned_lines(found.learned), messages.MOST_ROWS)


def _remarks(asked: _Asked, found: _Found) -> Iterator[str]:
    few = [f"{trigger} has {count}" for trigger, count in found.traited.few]
    if few:
        yield (
            f"core tags need {asked.options.core_images} images of one person alone: {messages.some(few)}; "
            "their traits stay in captions"
        )
    proposed = sum(not each.confirmed for each in found.learned)
    if proposed:
        yield f"{proposed} pairs of tags always come together, but no name says why; take what is true into the rules"


def _notes_on_scores(
    root: Path, surveyed: Sequence[SurveyedImage], asked: _Asked, captions: Mapping[str, Decision]
) -> Iterator[str]:
    options = asked.options
    for tagger in asked.taggers if options.threshold == "fixed" else ():
        given = {"general": options.general, "character": options.character}
        if not published(tagger)[0] and None in given.values() and tagger.name != BOORU:
            usual = limits_of(tagger, {}, {}).categories
            general, character = (value or usual[name] for name, value in given.items())
            yield (
                f"{tagger.name} publishes no thresholds: {general} is taken for general tags, {character} for characters"
            )
    unscored = [
        each.path
        for each in surveyed
        if each.path in captions and captions[each.path].reason == CaptionReason.NOT_SCORED
    ]
    if asked.taggers and unscored:
        yield f"{messages.many(unscored)} without scores by {asked.seen_by}; run: prep tag {root}"
    bare = [path for path, row in captions.items() if row.reason == CaptionReason.NO_TAG_LEFT]
    if bare:
        yield f"{messages.many(bare)} left without tags"
    empty = [path for path, row in captions.items() if not row.value]
    if empty:
        yield f"{messages.many(empty)} with an empty caption"
    if asked.unknown:
        yield f"rename, blacklist and thresholds: {asked.seen_by} has no tag called {messages.some(asked.unknown)}"


def _notes_on_words(
    surveyed: Sequence[SurveyedImage], asked: _Asked, captions: Mapping[str, Decision]
) -> Iterator[str]:
    late = [
        each.path
        for each in surveyed
        if each.path in captions
        and captions[each.path].reason == CaptionReason.MANUAL
        and leading(captions[each.path].value, each.triggers) < len(each.triggers)
    ]
    if late:
        yield f"{messages.many(late)} with a caption by a person that does not begin with the trigger words; see --prefix"
    used = {word for image in surveyed for word in image.triggers}
    yield from messages.on_triggers(used, asked.vocabulary, asked.tokens)
    concepts = {image.concept for image in surveyed}
    names = {name for concept in concepts for name in names_in(concept)}
    folders = {part for concept in concepts for part in concept.split("/")}
    leads = {lead for image in surveyed for lead in image.leads}
    options = asked.options
    named = [key for key in options.core if not any(fits(concept, key) for concept in concepts)]
    yield from messages.on_keys("triggers", "concept or name", options.triggers, concepts | names, names)
    yield from messages.on_keys("media", "folder", options.media, folders, folders)
    yield from messages.on_keys("absorb", "trigger word", asked.absorb, leads | {EVERYONE}, leads)
    yield from messages.on_keys("keep", "trigger word", asked.keep, leads | {EVERYONE}, leads)
    yield from messages.on_keys("core", "trigger word", named, leads, leads)


STAGE = Stage(
    name=NAME,
    help=__doc__,
    options=Options,
    reads=("images", "keep", "scores", "human", "tagger", "overlay"),
    plan=plan,
    observe=observe,
    observes="tagger, rules or tokenizer",
    missing=missing,
)
