"""What a person asks of curation."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from pipeline.core.errors import PrepError
from pipeline.tags.captions.selection import Combine
from pipeline.tags.captions.texts import check_probabilities, check_texts
from pipeline.tags.formats.options import FormatOptions
from pipeline.tags.statistics.core_tags import MODES, STYLES
from pipeline.tags.vocabulary.composition import Compose


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """Options of `prep curate`, in the order in which they are shown.

    Raises:
        PrepError: a value is out of range, or does nothing beside the others.
    """

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
    caption_format: FormatOptions = field(default_factory=FormatOptions)

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
    if options.rating and options.caption_format.format == "prose":
        raise PrepError("the format prose has no words for ratings", "leave out --rating, or choose another format")
    if options.fix and options.contradictions != "fix":
        raise PrepError(
            f"fix names {', '.join(options.fix)}, but contradictions are only reported", "add --contradictions fix"
        )
    if options.max_tokens and options.tokenizer is None:
        raise PrepError(
            f"max_tokens is {options.max_tokens} without a tokenizer",
            "give --tokenizer, the base model's tokenizer.json or its folder called tokenizer",
        )
