"""Turn scores into captions: choose and rename tags, drop what is implied or prunes into the trigger, trigger words first.

Every tag considered leaves a row that says what became of it and why. A caption file that a person changed is taken
in and wins over every rule; delete the file to have prep write it again. No model is needed: a new threshold is a new
plan from the same scores.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from pipeline.core.collecting import no_collecting
from pipeline.core.errors import PrepError
from pipeline.core.files import file_digest
from pipeline.store.caption_files import lost
from pipeline.store.manifest import Manifest
from pipeline.store.records import Decision, Image, Plan, Tagger
from pipeline.store.running.stage import Stage
from pipeline.tags.captions import messages, notes
from pipeline.tags.captions.build import Rules
from pipeline.tags.captions.caption_rows import CaptionWriter, Manual, manual
from pipeline.tags.captions.categories import caption_categories
from pipeline.tags.captions.contradiction_fixes import to_fix
from pipeline.tags.captions.flags import contradiction_rows, flag_rows
from pipeline.tags.captions.image_tags import TagChoice
from pipeline.tags.captions.known_tags import KnownTags, known_tags
from pipeline.tags.captions.scores import NO_TAGGER, boards_left_out, chosen_taggers, scored, votes
from pipeline.tags.captions.selection import Combine
from pipeline.tags.captions.texts import check_probabilities, check_texts
from pipeline.tags.captions.triggers import one_spelling, words_of
from pipeline.tags.statistics import survey
from pipeline.tags.statistics.core_tags import MODES, STYLES
from pipeline.tags.statistics.survey import SetFacts, SurveyedImage
from pipeline.tags.vocabulary.composition import Compose
from pipeline.tags.vocabulary.rules_file import RuleFile, read_rules
from pipeline.tags.vocabulary.tag_rules import GivenRules
from pipeline.tags.vocabulary.token_count import tokenizer_files
from pipeline.tags.vocabulary.unsaid_tags import DEPRECATED, META

NAME = "curate"


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    tagger: str = ""
    """Whose scores to use, by name, several joined by +; the tagger used last if not given, none for captions of
    trigger words only."""
    booru: Literal["merge", "none"] = "merge"
    """Tags that a booru downloader saved beside images (the tagger `booru`): merge with the taggers', or leave out. Their
    meta tags are never in a caption."""
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
    """Prune the traits that make a character into the trigger word (core), or keep them (none)."""
    core: Mapping[str, str] = field(default_factory=dict)
    """What to do with the core traits of one trigger word, or of concepts by pattern: prune, keep for them to be
    promptable, or none to look for none; Lumi=keep."""
    styles: tuple[str, ...] = STYLES
    """Patterns of concepts that are styles: nothing is pruned into their trigger words."""
    prune_tags: Mapping[str, str] = field(default_factory=dict)
    """Tags to prune into a trigger word whatever the figures say, separated by commas; * for all; Lumi="ahoge, watch"."""
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
    levels: Mapping[str, str] = field(default_factory=dict)
    """Which tags are kept of a class, which is a general tag with all that imply it: specific, what is kept where nothing
    is given, both, or general; hat=general, holding=both, or * for all others. See first: prep tags implied."""
    implications: Path | None = None
    """File of a board's implications, as CSV, instead of Danbooru's of July 2026: a newer one, or another board's, such
    as e621's; with the columns antecedent_name and consequent_name, or tag and implies."""
    meta: Literal["drop", "keep"] = "drop"
    """Leave out tags about the file, such as highres or translation request, and those that Danbooru gave up, such as
    bangs, whichever tagger or board gave them; or keep them."""
    compose: Compose = "garments"
    """Join what belongs together on one person, to tags that Danbooru has: sweater vest and blue vest to blue
    sweater vest; free joins to any tag, boots and red footwear to red boots; all joins hair as well: long white hair."""
    contradictions: Literal["report", "fix"] = "report"
    """Images whose hair, eyes, skin, count or colour of clothes contradict the others of their concept, or that
    contradict themselves, as day and night: list them with a proposed fix, or fix them."""
    fix: tuple[str, ...] = ()
    """What to fix, by attribute such as "hair colour" or by image; everything that is listed if not given."""
    contradiction_share: float = 0.8
    """Share of a concept's single-person images that must agree for the others to be in conflict with them."""
    keep_quality: bool = False
    """Leave watermark, signature, text, censoring and border tags in captions; images are flagged all the same."""
    blacklist: tuple[str, ...] = ()
    """Tag, or pattern such as *background*, to leave out of every caption."""
    rename: Mapping[str, str] = field(default_factory=dict)
    """Another name for a tag."""
    rules: Path | None = None
    """File of rules, one a line: rename: ;) -> wink; drop: *background*; threshold: wariza = 0.6; keep: Lumi: hat;
    prune: Lumi: ahoge; imply: holding sword -> sword; distinct: hair bow -> bow. Options go before it."""
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
        check_texts(self.separator, self.keep_separator, {"rename": self.rename, "media": self.media})
        _check_choices(self)


def _check_figures(options: Options) -> None:
    names = ("general", "character", "floor", "core_share", "contradiction_share")
    check_probabilities({name: getattr(options, name) for name in names}, options.thresholds)
    if not (math.isfinite(options.core_lift) and options.core_lift >= 1):
        raise PrepError(
            f"core_lift is {options.core_lift}", "give 1 or more; below 1 a trait would be rarer than elsewhere"
        )
    if options.core_images < 1 or options.max_tags < 0 or options.max_tokens < 0:
        raise PrepError(
            f"core_images is {options.core_images}, max_tags is {options.max_tags}, max_tokens is {options.max_tokens}",
            "give at least 1 image, and 0 tags or tokens for no limit",
        )


def _check_choices(options: Options) -> None:
    for key, mode in options.core.items():
        if mode not in MODES:
            raise PrepError(f"core: {key} = {mode!r}", f"give one of {', '.join(MODES)}")
    if not options.consolidate and (options.levels or options.implications):
        raise PrepError(
            "levels and implications do nothing where nothing is consolidated", "add --consolidate, or leave them out"
        )
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
    """Whose scores would be used, and what the files of rules, implications and tokenizer hold."""
    files = [file for file in (options.rules, options.implications) if file]
    if options.tokenizer is not None and options.tokenizer.exists():
        files += tokenizer_files(options.tokenizer)
    seen = [file_digest(file) if file.is_file() else "no file" for file in files]
    return " ".join(
        [*(tagger.id for tagger in chosen_taggers(manifest, options.tagger, options.booru == "merge")), *seen]
    )


def missing(manifest: Manifest, options: Options) -> str:
    return lost(manifest)


def plan(manifest: Manifest, options: Options) -> Plan:
    """One caption and one list of considered tags for every kept image; flags and contradictions where there are."""
    taggers = chosen_taggers(manifest, options.tagger, options.booru == "merge")
    written = manual(manifest, boards_left_out(manifest, options.tagger, options.booru == "merge"))
    images = manifest.kept()
    if not taggers and options.tagger != NO_TAGGER and any(image.path not in written.captions for image in images):
        raise PrepError(
            "no image was scored yet",
            f"run first: prep tag {manifest.root}; or give --tagger {NO_TAGGER} for trigger words only",
        )
    known = _known(options, taggers)
    choice = _choice(options, known, images)
    with no_collecting():
        surveyed = [choice.of_image(image, scores) for image, scores in scored(manifest, taggers, images)]
        return _plan(manifest.root, surveyed, options, known, written)


def _known(options: Options, taggers: tuple[Tagger, ...]) -> KnownTags:
    given = GivenRules(
        rename=options.rename,
        blacklist=options.blacklist,
        thresholds=options.thresholds,
        prune=options.prune_tags,
        keep=options.keep,
    )
    file = read_rules(options.rules) if options.rules else RuleFile()
    drops = {"character": options.characters, "copyright": options.copyrights}
    unsaid = {META, DEPRECATED} if options.meta == "drop" else set()
    left_out = {*unsaid, *(category for category, what in drops.items() if what == "drop")}
    return known_tags(taggers, given, file, left_out, options.tokenizer)


def _choice(options: Options, known: KnownTags, images: Sequence[Image]) -> TagChoice:
    given = {"general": options.general, "character": options.character}
    by_category = {category: value for category, value in given.items() if value is not None}
    from_folder = options.trigger_from == "folder"
    return TagChoice(
        votes=votes(known.taggers, by_category, known.rules.thresholds),
        combine=options.combine,
        floor=options.floor,
        largest_gap=options.threshold == "gap",
        rating=options.rating,
        names=known.names,
        banned=known.banned,
        triggers=options.triggers,
        from_folder=from_folder,
        spelling=one_spelling(words_of(images, options.triggers, from_folder)),
    )


def _plan(
    root: Path,
    surveyed: Sequence[SurveyedImage],
    options: Options,
    known: KnownTags,
    written: Manual,
) -> Plan:
    found = _survey(surveyed, options, known)
    paths = {image.path for image in surveyed}
    fixed = to_fix(found.odd, options.fix, paths) if options.contradictions == "fix" else frozenset()
    odd = {path: held for path, held in found.odd.found.items() if path not in written.closed}
    writer = CaptionWriter(
        rules=_caption_rules(surveyed, options, known, found),
        traits=found.traited.traits,
        manual=written,
        media=options.media,
        contradictions=found.odd.found,
        fixed=fixed,
        prefix=options.prefix,
        data=known.data,
    )
    rows = tuple(row for image in surveyed for row in writer.rows(image))
    captions = {row.path: row for row in rows if row.field == "caption"}
    flags = Counter(flag for image in surveyed for flag in image.flags)
    return Plan(
        NAME,
        ("caption", "tags", "flags", "contradictions"),
        (*rows, *flag_rows(surveyed), *contradiction_rows(odd, fixed)),
        warnings=(
            *_notes(root, surveyed, options, known, captions),
            *written.warnings,
            *messages.on_files([image.path for image in surveyed if image.path in written.unreadable]),
            *messages.on_contradictions(odd, fixed),
            *messages.on_flags(flags, options.keep_quality),
        ),
        info=tuple(notes.info(found.traited, found.mined, options.core_images)),
        table=tuple(notes.lines(surveyed, found.traited, found.mined, odd, fixed)),
        counts={f"flag:{flag}": count for flag, count in sorted(flags.items())},
    )


def _survey(surveyed: Sequence[SurveyedImage], options: Options, known: KnownTags) -> SetFacts:
    mode = survey.modes(surveyed, options.prune == "core", options.core, options.styles)
    figures = (options.core_share, options.core_lift, options.core_images)
    traited = survey.find_traits(surveyed, mode, figures, (known.rules.prune, known.rules.keep))
    mined = survey.find_rules(surveyed) if options.learn and options.consolidate else []
    odd = survey.find_contradictions(surveyed, traited.traits, options.contradiction_share, options.core_images)
    return SetFacts(traited, mined, odd)


def _caption_rules(surveyed: Sequence[SurveyedImage], options: Options, known: KnownTags, found: SetFacts) -> Rules:
    categories, rename = known.vocabulary.categories, known.names.rename
    return Rules(
        categories=caption_categories(categories, rename, options.media.values(), options.copyrights == "mixed"),
        banned=known.banned,
        keep_quality=options.keep_quality,
        implications=known.implications(found.mined, options.levels, options.implications)
        if options.consolidate
        else None,
        compose=options.compose,
        rank=survey.ranks(surveyed, options.order, tuple(categories)),
        max_tags=options.max_tags,
        max_tokens=options.max_tokens,
        tokens=known.tokens,
        separator=options.separator,
        keep_separator=options.keep_separator,
    )


def _notes(
    root: Path,
    surveyed: Sequence[SurveyedImage],
    options: Options,
    known: KnownTags,
    captions: Mapping[str, Decision],
) -> Iterator[str]:
    if options.threshold == "fixed":
        yield from notes.on_thresholds(known.taggers, {"general": options.general, "character": options.character})
    yield from notes.on_scores(root, surveyed, known.by, captions)
    yield from notes.on_unknown(known.by, known.rules.unknown)
    yield from notes.on_late_triggers(surveyed, captions)
    triggers = {word for image in surveyed for word in image.triggers}
    yield from messages.on_spellings(surveyed, options.triggers, options.trigger_from == "folder")
    yield from messages.on_triggers(triggers, known.vocabulary, known.tokens)
    rules = known.rules
    yield from notes.on_option_keys(surveyed, options.triggers, options.media, rules.prune, rules.keep, options.core)


STAGE = Stage(
    name=NAME,
    help=__doc__,
    options=Options,
    reads=("images", "keep", "scores", "manual_caption", "tagger", "manual_edits"),
    plan=plan,
    observe=observe,
    observes="tagger, rules, implications or tokenizer",
    missing=missing,
)
