"""Tags that an image board knew of an image, from the JSON that downloaders write beside it.

Known are posts as Danbooru, Gelbooru, Moebooru (yande.re, konachan), e621 and Sankaku give them, alone or within a document
(`post`), and what gallery-dl, imgbrd-grabber, waifuc (`.NAME_meta.json`) and hydrus write.
"""

from __future__ import annotations

import html
import re
from collections.abc import Iterator, Mapping
from typing import Any

from pipeline.store.records import Tagger
from pipeline.store.tables.digests import SIDECAR

CATEGORIES = ("general", "character", "copyright", "artist", "meta")
_GROUPS = {
    **{name: name for name in CATEGORIES},
    **dict.fromkeys(("species", "genre", "person", "clothing", "object"), "general"),
    **dict.fromkeys(("series", "studio", "parody"), "copyright"),
    **dict.fromkeys(("creator", "circle", "style", "contributor"), "artist"),
    **dict.fromkeys(
        ("lore", "metadata", "medium", "invalid", "deprecated", "faults", "title", "page", "source"), "meta"
    ),
}
"""What boards and programs call their groups of tags → category."""
_NUMBERS = {
    0: "general",
    1: "artist",
    2: "copyright",
    3: "copyright",
    4: "character",
    5: "general",
    8: "meta",
    9: "meta",
}
"""Sankaku's types of tags."""
_RATINGS = {"g": "general", "s": "sensitive", "q": "questionable", "e": "explicit"} | {
    name: name for name in ("general", "sensitive", "questionable", "explicit")
}
_SAFE = {"s": "general", "safe": "general", "g": "general"}
_POSTS = ("post", "posts", "danbooru", "gelbooru", "e621", "moebooru", "yandere", "konachan", "sankaku", "safebooru")
"""Keys under which documents hold the post itself."""
_MARKS = ("category", "tag_string", "tag_string_general", "tags_general", "file_url", "md5", "file_id")
"""Keys by one of which a document is a post, whose `caption` or `description` is no caption of the image."""
_LETTERS = re.compile(r"[^\W\d_]{2}")
_POPULARITY = re.compile(r"\d+users入り")
_FORBIDDEN = re.compile(r"[,\x00-\x1f\x7f\u2028\u2029]")
LONGEST = 200


def is_post(document: Mapping[str, Any]) -> bool:
    """Whether a document is about a post of a board, not written for a trainer."""
    tags = document.get("tags")
    return any(key in document for key in (*_MARKS, *_POSTS)) or isinstance(tags, Mapping)


def booru_tags(document: Mapping[str, Any]) -> dict[str, str]:
    """Tag → category, as captions write tags; the rating is one of category `rating`.

    Raises:
        ValueError: tags are there, but of a type that tags cannot be; the text says which.
    """
    found: dict[str, str] = {}
    for post in _posts(document):
        for tag, category in _of_post(post):
            if found.get(tag, "general") == "general":
                found[tag] = category
        rating = _rating(post)
        if rating:
            found.setdefault(rating, "rating")
    return found


def _posts(document: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    """The document, and every post within it."""
    yield document
    for key in _POSTS:
        inner = document.get(key)
        for post in inner if isinstance(inner, list) else [inner]:
            if isinstance(post, Mapping):
                yield post


def _of_post(post: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """(tag, category): groups first, as a tag without one is only taken for general."""
    for group, category in _GROUPS.items():
        for key in (f"tag_string_{group}", f"tags_{group}"):
            yield from _named(post.get(key), key, category)
    yield from _tags(post.get("tags"))
    yield from _named(post.get("tag_string"), "tag_string", "general")


def _tags(tags: Any) -> Iterator[tuple[str, str]]:
    """The value of `tags`: a text, a list of names or of tables (Sankaku), groups of names (e621), names with scores
    (waifuc), or services of hydrus."""
    if not isinstance(tags, Mapping):
        yield from _named(tags, "tags", "general")
    elif not _GROUPS.keys() >= tags.keys() and all(isinstance(value, int | float) for value in tags.values()):
        yield from _named(list(tags), "tags", "general")
    else:
        for group, value in tags.items():
            if isinstance(value, Mapping):
                yield from _of_service(value, f"tags.{group}")
            else:
                yield from _named(value, f"tags.{group}", _GROUPS.get(str(group), "general"))


def _of_service(value: Mapping[str, Any], key: str) -> Iterator[tuple[str, str]]:
    """The current tags of one tag service of hydrus: {"display_tags": {"0": […]}}, or without the outer table."""
    shown = value.get("display_tags", value.get("storage_tags", value))
    current = shown.get("0") if isinstance(shown, Mapping) else shown
    yield from _named(current, key, "general")


def _named(value: Any, key: str, category: str) -> Iterator[tuple[str, str]]:
    """The tags of one value: a list, or a text with commas or, as boards write it, spaces between them."""
    if value is None:
        return
    if isinstance(value, str):
        value = value.split(",") if "," in value else value.split()
    if not isinstance(value, list) or not all(isinstance(each, str | Mapping) for each in value):
        raise ValueError(f"{key} is neither a text nor a list of texts")
    for each in value:
        name, own = _of_table(each, key) if isinstance(each, Mapping) else (each, "")
        group, colon, rest = name.partition(":")
        if colon and rest.strip() and group.strip().lower() in _GROUPS:
            name, own = rest, _GROUPS[group.strip().lower()]
        spelled = _spelled(html.unescape(name).strip())
        if spelled and len(spelled) <= LONGEST and not _FORBIDDEN.search(spelled):
            yield spelled, "meta" if _POPULARITY.search(spelled) else own or category


def _of_table(tag: Mapping[str, Any], key: str) -> tuple[str, str]:
    """The name and category of a tag that is a table, as Sankaku's and imgbrd-grabber's are."""
    name = next((tag[each] for each in ("name_en", "name", "tagName", "tag", "name_ja") if tag.get(each)), "")
    if not isinstance(name, str):
        raise ValueError(f"{key} holds a tag without a name")
    kind = tag.get("type")
    own = _NUMBERS.get(kind, "general") if isinstance(kind, int) else _GROUPS.get(str(kind).lower(), "")
    return name, own


def _spelled(name: str) -> str:
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
