"""What is known of the captions of one family of base models."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

GROUPS = (
    "count",
    "solo",
    "character",
    "copyright",
    "artist",
    "added",
    "general",
    "meta",
    "quality",
    "rating",
    "year",
    "suffix",
)
"""What a caption is made of behind its trigger words, in the order of boards. `count` is `1girl`, `added` what the folder gives,
`quality` quality and score words, `suffix` the words that end every caption."""

Words = tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Family:
    """A family's documented captions.

    `ratings` is the board's rating → the family's words, empty where it documents none; `quality` are its quality and score
    words, the best first; `poor` is the word for the worst images, "" for none; `years` is a word → the first and the last
    year it stands for, `dated` whether `year 2024` is said as well; a prompt is the documented words `before` and `after`
    what is asked for.
    """

    name: str
    order: Words
    source: str
    ratings: Mapping[str, Words] = field(default_factory=dict)
    quality: Words = ()
    poor: str = ""
    years: Mapping[str, tuple[int, int]] = field(default_factory=dict)
    dated: bool = False
    before: Words = ()
    after: Words = ()

    def year_words(self, year: int) -> Words:
        """The words for the year an image was made in; none where the family has no word for it."""
        period = next((word for word, (first, last) in self.years.items() if first <= year <= last), None)
        return (*((period,) if period else ()), *((f"year {year}",) if self.dated else ()))
