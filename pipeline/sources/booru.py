"""Tags that an image board knew of an image, from the JSON that downloaders write beside it."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from pipeline.store.records import Tagger
from pipeline.store.tables.digests import SIDECAR

CATEGORIES = ("general", "character", "copyright", "artist", "meta")
_OTHER_NAMES = {"species": "general", "lore": "meta", "metadata": "meta", "circle": "artist", "style": "artist"}
_RATINGS = {"g": "general", "s": "sensitive", "q": "questionable", "e": "explicit"} | {
    name: name for name in ("general", "sensitive", "questionable", "explicit")
}
_SAFE = {"s": "general", "safe": "general", "g": "general"}
_LETTERS = re.compile(r"[^\W\d_]{2}")
_FORBIDDEN = re.compile(r"[,\x00-\x1f\x7f\u2028\u2029]")
LONGEST = 200


def booru_tags(document: Mapping[str, Any]) -> dict[str, str]:
    """Tag → category, as captions write tags; the rating is one of category `rating`.

    Known are Danbooru's `tag_string` and `tag_string_CATEGORY`, `tags_CATEGORY`, and `tags` as a text, a list, or a table
    of categories as e621 has it.

    Raises:
        ValueError: tags are there, but of a type that tags cannot be; the text says which.
    """
    found: dict[str, str] = {}
    for category in (*CATEGORIES, *_OTHER_NAMES):
        for key in (f"tag_string_{category}", f"tags_{category}"):
            for tag in _names(document.get(key), key):
                found.setdefault(tag, _OTHER_NAMES.get(category) or category)
    tags = document.get("tags")
    if isinstance(tags, Mapping):
        for group, value in tags.items():
            category = _OTHER_NAMES.get(group, str(group))
            for tag in _names(value, f"tags.{group}"):
                found.setdefault(tag, category if category in CATEGORIES else "general")
    else:
        for tag in _names(tags, "tags"):
            found.setdefault(tag, "general")
    for tag in _names(document.get("tag_string"), "tag_string"):
        found.setdefault(tag, "general")
    rating = _rating(document)
    if rating:
        found[rating] = "rating"
    return found


def _names(value: Any, key: str) -> list[str]:
    """The tags of one value: a list, or a text with commas or, as boards write it, spaces between them."""
    if value is None:
        return []
    if isinstance(value, str):
        value = value.split(",") if "," in value else value.split()
    if not isinstance(value, list) or not all(isinstance(each, str) for each in value):
        raise ValueError(f"{key} is neither a text nor a list of texts")
    names = (_spoken(each.strip()) for each in value)
    return [name for name in names if name and len(name) <= LONGEST and not _FORBIDDEN.search(name)]


def _spoken(name: str) -> str:
    """`cat_ears` → `cat ears`, as taggers' labels are read; a kaomoji such as `>_<` stays."""
    return " ".join(name.replace("_", " ").split()) if _LETTERS.search(name) else name


def _rating(document: Mapping[str, Any]) -> str:
    """The rating by its full name, "" without one. The letter s meant safe before Danbooru made it sensitive."""
    rating = document.get("rating")
    if not isinstance(rating, str):
        return ""
    rating = rating.strip().lower()
    danbooru = "tag_string" in document or document.get("category") == "danbooru"
    return _RATINGS.get(rating, _SAFE.get(rating, "")) if danbooru else _SAFE.get(rating, _RATINGS.get(rating, ""))


def booru_tagger(categories: Mapping[str, str]) -> Tagger:
    """The record under which such tags are kept as scores of 1."""
    return Tagger("booru", SIDECAR, "none", "", dict(sorted(categories.items())))
