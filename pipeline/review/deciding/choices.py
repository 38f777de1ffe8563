"""A choice about images as it comes from a page, checked; and in words."""

from __future__ import annotations

import unicodedata
from collections.abc import Mapping
from typing import Any

from pipeline.core.caption_text import read_caption_text
from pipeline.core.errors import PrepError
from pipeline.images.buckets.crop_anchors import parse
from pipeline.tags.captions.manual_edits import ADD, REMOVE, REPLACE, Edit

FIELDS = {"keep": "manual_keep", "anchor": "manual_anchor", "repeats": "manual_repeats"}
"""Choice → the field of the record that holds it."""
MOST_REPEATS = 1e6
LONGEST_CAPTION = 20_000
TAG_EDITS = frozenset((ADD, REMOVE, REPLACE))
CAPTION = "caption"


def checked(choice: object) -> tuple[str, Any]:
    """(what, value) of a choice, which is a mapping of one name.

    Raises:
        PrepError: it is none.
    """
    if not isinstance(choice, Mapping) or len(choice) != 1:
        raise PrepError("this is no choice", "load the page again")
    ((what, value),) = choice.items()
    if what == "keep" and (value is None or isinstance(value, bool)):
        return what, value
    if what == "anchor" and (value is None or isinstance(value, str)):
        return what, None if value is None else _anchor(value)
    if what == "repeats" and (value is None or (isinstance(value, int | float) and not isinstance(value, bool))):
        return what, None if value is None else _repeats(float(value))
    if what == CAPTION and (value is None or isinstance(value, str)):
        return what, None if value is None else _caption(value)
    if what in TAG_EDITS and isinstance(value, list) and value and all(isinstance(each, str) for each in value):
        return what, [_tag(each) for each in value]
    raise PrepError(f"{what!s:.40} cannot be decided so", "load the page again")


def edits_of(what: str, value: list[str]) -> list[Edit]:
    """The edits of tags that a choice comes to."""
    if what == REPLACE:
        return [(REPLACE, tag, value[-1]) for tag in value[:-1]]
    return [(what, tag) for tag in value]


def _anchor(text: str) -> str:
    try:
        return parse(text).name
    except ValueError as error:
        raise PrepError(f"{text[:40]!r} is no crop anchor", str(error)) from error


def _repeats(value: float) -> float:
    if not 0 < value <= MOST_REPEATS:
        raise PrepError(f"repeats of {value:g}", f"give a number above 0, at most {MOST_REPEATS:.0f}")
    return value


def _caption(text: str) -> str:
    if len(text) > LONGEST_CAPTION:
        raise PrepError(f"the caption has {len(text)} letters", f"write {LONGEST_CAPTION} at most")
    if not _plain(text.replace("\n", "").replace("\r", "").replace("\t", "")):
        raise PrepError("the caption holds a control character", "write letters, signs and spaces alone")
    if not read_caption_text(text).text:
        raise PrepError("the caption is empty", "take it back to curation's with an empty field, or write a word")
    return text


def _tag(text: str) -> str:
    tag = " ".join(text.split())
    if not tag or "," in tag or len(tag) > 200 or not _plain(tag):
        raise PrepError(f"{text[:40]!r} is not one tag", "write tags one by one, or with commas between")
    return tag


def _plain(text: str) -> bool:
    """Whether a text has no control character (Unicode's category Cc): a file of captions that has one is no text."""
    return not any(unicodedata.category(letter) == "Cc" for letter in text)


def words(what: str, value: Any, images: int) -> str:
    """What was decided, in a sentence."""
    about = "1 image" if images == 1 else f"{images:,} images"
    if what == "keep":
        return f"{about} {'kept' if value else 'dropped'}" if value is not None else f"{about} left to check again"
    if what in FIELDS:
        return f"{what} of {about}: {value}" if value is not None else f"{what} of {about} left to the settings again"
    if what == CAPTION:
        return f"caption of {about} written" if value is not None else f"caption of {about} left to curation again"
    if what == REPLACE:
        return f"{', '.join(value[:-1])} became {value[-1]} in {about}"
    return f"{'added' if what == ADD else 'removed'} {', '.join(value)}: {about}"
