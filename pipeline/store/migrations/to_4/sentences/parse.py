"""Taking a sentence apart by the pattern that it was written with."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple


class Coded(NamedTuple):
    """A reason of version 4."""

    code: str
    data: Mapping[str, Any]


class Sentence(NamedTuple):
    """How version 3 wrote the figures of a reason: its code now, a pattern, and what each named group of it holds."""

    code: str
    pattern: str = ""
    kinds: Mapping[str, Callable[[str], Any]] = {}

    def read(self, figures: str) -> Coded | None:
        """The code with the data in these figures; None where they were not written so."""
        found = re.fullmatch(self.pattern, figures, re.DOTALL)
        if found is None:
            return None
        named = {name: text for name, text in found.groupdict().items() if text is not None}
        return Coded(self.code, {name: self.kinds.get(name, str)(text) for name, text in named.items()})


def as_recorded(phrase: str, figures: str) -> Coded:
    return Coded("as_recorded", {"reason": phrase, "evidence": figures})


def read(sentences: Mapping[str, Sentence], phrase: str, figures: str) -> Coded:
    """What a phrase and its figures say, by the table of all phrases."""
    sentence = sentences.get(phrase)
    found = sentence.read(figures) if sentence is not None else None
    return as_recorded(phrase, figures) if found is None else found


def side_by_side(text: str) -> list[int]:
    """`48×80` as [48, 80]."""
    return [int(side) for side in text.split("×")]


def share(text: str) -> float:
    """`3.2` percent as 0.032."""
    return round(float(text) / 100, 6)


def whole(text: str) -> int:
    """A whole number whose thousands are set apart."""
    return int("".join(filter(str.isdigit, text)))


SIZE = r"(?P<size>\d+×\d+)"
NUMBER = r"(?:-?[\d.]+(?:e[-+]?\d+)?|inf|nan)"
