"""A few captions in every format, beside each other, to choose one by eye."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass, replace

from pipeline.core.errors import PrepError
from pipeline.tags.captions.caption_rows import CaptionWriter
from pipeline.tags.formats.families import FAMILIES
from pipeline.tags.formats.options import EARLIEST, LATEST, FormatOptions
from pipeline.tags.formats.prompts import default_prompt
from pipeline.tags.statistics.survey import SurveyedImage

SHOWN = 3


@dataclass(frozen=True, slots=True)
class FormatPreview:
    """Captions of some images as a format has them, (path, caption)."""

    name: str
    captions: tuple[tuple[str, str], ...]
    chosen: bool

    def lines(self) -> Iterator[str]:
        family = FAMILIES[self.name]
        yield f"{self.name}{' (chosen)' if self.chosen else ''}: {family.source}"
        for path, caption in self.captions:
            yield f"  {path.rpartition('/')[2]}: {caption}"
        if family.quality:
            yield f"  quality words, for --quality: {', '.join(family.quality)}"
        years = [f"{word} {_years(*span)}" for word, span in family.years.items()] + ["year N"] * family.dated
        if years:
            yield f"  years, for --year: {', '.join(years)}"
        if self.name not in ("booru", "custom"):
            yield f"  prompt, where none is given: {default_prompt('TRIGGER', self.name)}"


def _years(first: int, last: int) -> str:
    if first < EARLIEST:
        return f"to {last}"
    return f"from {first}" if last > LATEST else f"{first}" if first == last else f"{first} to {last}"


def previewed(
    surveyed: Sequence[SurveyedImage],
    asked: FormatOptions,
    writer: Callable[[FormatOptions], CaptionWriter],
    closed: Collection[str],
) -> list[FormatPreview]:
    """The images with most tags, each of another concept where there are as many, in every format that the options fit.

    What is said of one format alone, as the year, is left out where a format has no words for it.

    Args:
        closed: images whose caption prep does not write.
    """
    images = _shown([image for image in surveyed if image.path not in closed])
    found = []
    for name in FAMILIES:
        if name == "custom" and asked.format != "custom":
            continue
        form = asked if name == asked.format else _as(asked, name)
        write = writer(form)
        rows = (write.rows(image._replace(ledger=image.ledger.copy())) for image in images)
        captions = tuple((row.path, str(row.value)) for each in rows for row in each if row.field == "caption")
        found.append(FormatPreview(name, captions, name == asked.format))
    return found


def _as(asked: FormatOptions, name: str) -> FormatOptions:
    """The options in another format, without what it has no words for."""
    family = FAMILIES[name]
    return replace(
        asked,
        format=name,  # type: ignore[arg-type]  # a key of FAMILIES
        format_order=(),
        poor=asked.poor if family.poor else "none",
        year={pattern: year for pattern, year in asked.year.items() if family.year_words(year)},
    )


def _shown(images: Sequence[SurveyedImage]) -> list[SurveyedImage]:
    if not images:
        raise PrepError("there is no caption to preview: a person wrote all of them", "give a set with scored images")
    most = sorted(images, key=lambda image: (-len(image.ledger.alive), image.path))
    first = {image.concept: image for image in reversed(most)}
    leading = [image for image in most if first[image.concept] is image]
    return [*leading, *(image for image in most if first[image.concept] is not image)][:SHOWN]
