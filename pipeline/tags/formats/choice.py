"""A format as it was asked for: where each group of tags stands, how a tag is written, and the words beside the tags."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, TypeVar

from pipeline.config.parts import names_of
from pipeline.core.filenames import fits_concept
from pipeline.tags.formats.families import FAMILIES
from pipeline.tags.formats.family import GROUPS, Family, Words
from pipeline.tags.formats.options import FormatOptions
from pipeline.tags.formats.phrases import phrase_of
from pipeline.tags.vocabulary.aliases import split_caption

T = TypeVar("T")
RATING = "rating:"
POOR_FILE = "poor file"
"""The quality flag of a damaged or enlarged file."""


@dataclass(frozen=True)
class CaptionFormat:
    """How captions are written, as the options ask."""

    options: FormatOptions

    @cached_property
    def family(self) -> Family:
        return FAMILIES[self.options.format]

    @cached_property
    def order(self) -> Words:
        """Every group in its order; what the family or the person does not name stands at the end."""
        asked = self.options.format_order or self.family.order
        return (*asked, *(group for group in GROUPS if group not in asked))

    @cached_property
    def plain(self) -> bool:
        """Whether every tag is written as it is called."""
        return (
            self.family.name in ("booru", "custom")
            and self.options.spelling == "spaces"
            and not self.options.artist_prefix
        )

    def written(self, tag: str, category: str) -> Words:
        """A tag as captions have it; several words where the family says one rating in two. A rating that it does not know,
        as another board's, stays as it is."""
        if category == RATING[:-1] and tag.startswith(RATING):
            return self.family.ratings.get(tag.removeprefix(RATING), (tag,))
        if self.family.name == "prose":
            tag = phrase_of(tag)
        if category == "artist":
            tag = f"{self.options.artist_prefix}{tag}"
        return (tag.replace(" ", "_") if self.options.spelling == "underscores" else tag,)

    def edit(self, edit: Sequence[str], categories: Mapping[str, str], stay: Collection[str]) -> tuple[str, ...]:
        """A person's edit of tags in the words of the format, whichever words the captions had when it was made.

        Args:
            stay: words that are written as they are: those beside the tags.
        """
        what, *tags = edit
        said = (tag if tag in stay else self.written(tag, categories.get(tag, "general"))[0] for tag in tags)
        return (what, *said)

    def beside(self, concept: str, flags: Iterable[str]) -> dict[str, str]:
        """Words that an image gets beside its tags → their group; `flags` are its quality flags."""
        options, found = self.options, dict[str, str]()
        if options.poor == "mark" and POOR_FILE in flags:
            found[self.family.poor] = "quality"
        else:
            found |= dict.fromkeys(split_caption(_fitting(options.quality, concept, "")), "quality")
        year = _fitting(options.year, concept, 0)
        found |= dict.fromkeys(self.family.year_words(year) if year else (), "year")
        for word in (each for text in options.suffix for each in split_caption(text)):
            found.setdefault(word, "suffix")
        return found

    def foreign(self) -> list[str]:
        """Quality words that a person gave and the family does not document, where it documents some."""
        given = {word for text in self.options.quality.values() for word in split_caption(text)}
        return sorted(given - set(self.family.quality)) if self.family.quality else []


def recorded_format(values: Mapping[str, Any]) -> CaptionFormat:
    """The format of a curation, of its recorded options; that of boards where it recorded none."""
    known = names_of(FormatOptions) & values.keys()
    own: dict[str, Any] = {name: tuple(value) if isinstance(value := values[name], list) else value for name in known}
    return CaptionFormat(FormatOptions(**own))


def _fitting(by_pattern: Mapping[str, T], concept: str, otherwise: T) -> T:
    """What is given for a concept: by its own name, else by the first pattern that it fits, else for all others."""
    if concept in by_pattern:
        return by_pattern[concept]
    patterns = (pattern for pattern in by_pattern if pattern != "*" and fits_concept(concept, pattern))
    return by_pattern.get(next(patterns, "*"), otherwise)
