"""A proposal: what is asked, what is behind it, and what may be answered."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from pipeline.store.records import THE_SET

Choice = Mapping[str, Any]
"""What is decided about images, as the desk's other decisions are: {"keep": true}, {"remove": ["hat"]}, …"""


@dataclass(frozen=True, slots=True)
class Deed:
    """One choice about some images."""

    paths: tuple[str, ...]
    choice: Choice


@dataclass(frozen=True, slots=True)
class Answer:
    """What may be answered: `words` on its button, and the deeds that it means; none only notes that it was answered."""

    words: str
    deeds: tuple[Deed, ...]


@dataclass(frozen=True, slots=True)
class Proposal:
    """Something to decide.

    `kind` and `key` tell it from all others for as long as its images and tags are called what they are; `about` is the image
    it is remembered under when it is rejected, or the whole set. `group` is what those have in common that may be answered
    together: the first answers of all of a group mean the same. Those of larger `urgency` come first, 0 to 1.
    """

    kind: str
    key: str
    title: str
    evidence: tuple[str, ...]
    images: tuple[str, ...]
    answers: tuple[Answer, ...]
    group: str
    about: str = THE_SET
    urgency: float = 0.0
    reject: str = "leave it as it is"
    """What rejecting means, in words on its button."""
