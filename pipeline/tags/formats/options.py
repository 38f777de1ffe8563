"""What a person asks of the format of captions."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Literal

from pipeline.core.errors import PrepError
from pipeline.tags.formats.families import FAMILIES
from pipeline.tags.formats.family import GROUPS

FormatName = Literal["booru", "pony", "animagine", "noobai", "illustrious", "prose", "custom"]

EARLIEST, LATEST = 1900, 2100
"""Years that a picture may be of."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FormatOptions:
    """How captions are written, whatever tags they hold.

    Raises:
        PrepError: a value is none, or does nothing in this format.
    """

    format: FormatName = "booru"
    """The order and the words of captions, as a family of base models documents them: booru, pony, animagine (XL 4.0),
    noobai, illustrious, prose (phrases in plain words, for plain SD and SDXL), custom. Trigger words stay first in each. See all:
    --preview-format."""
    format_order: tuple[str, ...] = ()
    """Groups of tags behind the trigger words, in their order, for the format custom: count, solo, character, copyright, artist,
    added, general, meta, quality, rating, year, suffix; those not named follow in this order."""
    quality: Mapping[str, str] = field(default_factory=dict)
    """Quality or score words of the images of a concept, by pattern, or * for all others; fanart/*="score_9, score_8_up"."""
    poor: Literal["none", "mark"] = "none"
    """Give images whose tags speak of a poor file (jpeg artifacts, lowres) the word that the format has for the worst, in
    place of other quality words, so that their faults are learned with it and not with the trigger word: mark, or none."""
    year: Mapping[str, int] = field(default_factory=dict)
    """The year in which the images of a concept were made, by pattern, or * for all others, in the words of the format;
    *=2024."""
    spelling: Literal["spaces", "underscores"] = "spaces"
    """Spaces or underscores within tags; trigger words, words of the format and kaomoji stay as they are."""
    artist_prefix: str = ""
    """What is put before the names of artists, such as "by " or artist:."""
    suffix: tuple[str, ...] = ()
    """Words that end every caption."""

    def __post_init__(self) -> None:
        for what, hint in _problems(self):
            raise PrepError(what, hint)


def _problems(options: FormatOptions) -> Iterator[tuple[str, str]]:
    family = FAMILIES[options.format]
    if options.format_order and options.format != "custom":
        yield f"format_order does nothing in the format {options.format}", "add --format custom"
    if options.format == "custom" and not options.format_order:
        yield "the format custom has no order", f"give --format-order, some of {', '.join(GROUPS)}"
    wrong = [name for name in options.format_order if name not in GROUPS]
    if wrong:
        yield f"format_order: {wrong[0]!r} is no group of tags", f"give some of {', '.join(GROUPS)}"
    twice = [name for name in options.format_order if options.format_order.count(name) > 1]
    if twice:
        yield f"format_order names {twice[0]} twice", "name it once"
    if options.poor == "mark" and not family.poor:
        known = ", ".join(name for name, each in FAMILIES.items() if each.poor)
        yield (
            f"the format {options.format} has no word for poor images",
            f"use it with one of {known}, or leave out poor",
        )
    for pattern, year in options.year.items():
        if not EARLIEST <= year <= LATEST:
            yield f"year: {pattern} = {year}", "give a year such as 2024"
        if not family.year_words(year):
            known = ", ".join(name for name, each in FAMILIES.items() if each.year_words(year))
            yield (
                f"the format {options.format} has no word for the year {year}",
                f"it is said in: {known}; or leave out year",
            )
    texts = {f"quality: {key}": text for key, text in options.quality.items()} | {"suffix": ", ".join(options.suffix)}
    for name, text in texts.items():
        if "\n" in text or "|||" in text or (not text.strip() and name != "suffix"):
            yield f"{name} = {text!r}", "give words, separated by commas"
    if re.search(r"[,\n]", options.artist_prefix):
        yield f"artist_prefix is {options.artist_prefix!r}", 'give a text without commas, such as "by "'
