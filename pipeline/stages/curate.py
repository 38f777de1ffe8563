"""Turn scores into captions: choose and rename tags, drop what is implied or prunes into the trigger, trigger words first.

Every tag considered leaves a row that says what became of it and why. A caption file that a person changed is taken
in and wins over every rule; delete the file to have prep write it again. No model is needed: a new threshold is a new
plan from the same scores.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from pipeline.core.collecting import no_collecting
from pipeline.core.errors import PrepError
from pipeline.core.files import file_digest
from pipeline.store.caption_files import lost
from pipeline.store.manifest import Manifest
from pipeline.store.records import Decision, Image, Plan, Tagger
from pipeline.store.running.stage import Preview, Stage
from pipeline.tags.captions import messages, notes
from pipeline.tags.captions.build import Rules
from pipeline.tags.captions.caption_rows import CaptionWriter, Manual, manual
from pipeline.tags.captions.categories import caption_categories
from pipeline.tags.captions.contradiction_fixes import to_fix
from pipeline.tags.captions.flags import contradiction_rows, flag_rows
from pipeline.tags.captions.format_preview import FormatPreview, previewed
from pipeline.tags.captions.image_tags import TagChoice
from pipeline.tags.captions.known_tags import KnownTags, known_tags
from pipeline.tags.captions.options import Options
from pipeline.tags.captions.scores import NO_TAGGER, boards_left_out, chosen_taggers, scored, votes
from pipeline.tags.captions.triggers import one_spelling, words_of
from pipeline.tags.formats.choice import CaptionFormat
from pipeline.tags.formats.options import FormatOptions
from pipeline.tags.statistics import survey
from pipeline.tags.statistics.survey import SetFacts, SurveyedImage
from pipeline.tags.vocabulary.rules_file import RuleFile, read_rules
from pipeline.tags.vocabulary.tag_rules import GivenRules
from pipeline.tags.vocabulary.token_count import tokenizer_files
from pipeline.tags.vocabulary.unsaid_tags import DEPRECATED, META

NAME = "curate"
__all__ = ["NAME", "STAGE", "Options", "observe", "plan", "preview_formats"]


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
    with no_collecting():
        return _plan(manifest.root, _surveyed(manifest, taggers, images, options, known), options, known, written)


def _surveyed(
    manifest: Manifest, taggers: Sequence[Tagger], images: Sequence[Image], options: Options, known: KnownTags
) -> list[SurveyedImage]:
    choice = _choice(options, known, images)
    return [choice.of_image(image, scores) for image, scores in scored(manifest, taggers, images)]


def preview_formats(manifest: Manifest, options: Options) -> list[FormatPreview]:
    """What three captions that prep writes would be in every format, with the tags that the options choose; writes nothing."""
    taggers = chosen_taggers(manifest, options.tagger, options.booru == "merge")
    known, written, images = _known(options, taggers), manual(manifest), manifest.kept()
    with no_collecting():
        surveyed = _surveyed(manifest, taggers, images, options, known)
        found = _survey(surveyed, options, known)

        def writer(form: FormatOptions) -> CaptionWriter:
            return _writer(surveyed, replace(options, caption_format=form), known, found, written, frozenset())

        return previewed(surveyed, options.caption_format, writer, written.closed)


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
    writer = _writer(surveyed, options, known, found, written, fixed)
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


def _writer(
    surveyed: Sequence[SurveyedImage],
    options: Options,
    known: KnownTags,
    found: SetFacts,
    written: Manual,
    fixed: frozenset[tuple[str, str]],
) -> CaptionWriter:
    return CaptionWriter(
        rules=_caption_rules(surveyed, options, known, found),
        traits=found.traited.traits,
        manual=written,
        media=options.media,
        contradictions=found.odd.found,
        fixed=fixed,
        prefix=options.prefix,
        data=known.data,
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
        format=CaptionFormat(options.caption_format),
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
    yield from notes.on_format(CaptionFormat(options.caption_format))
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
    preview=Preview(
        "--preview-format",
        "Show three captions in every format, and write nothing.",
        lambda manifest, options: [line for each in preview_formats(manifest, options) for line in each.lines()],
    ),
)
