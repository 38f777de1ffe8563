"""One spelling for every tag."""

from __future__ import annotations

import functools
import re
from collections.abc import Collection, Iterable, Mapping, Sequence

from pipeline.core.caption_text import split_tags
from pipeline.core.errors import PrepError
from pipeline.tags.danbooru import tables

_LETTERS = re.compile(r"[^\W\d_]{2}")
_LETTERS_OR_DIGITS = re.compile(r"[^\W_]{2}")


@functools.lru_cache(maxsize=1 << 17)
def canonical(name: str) -> str:
    """A tag as people type it, in the spelling of captions: `long_hair` → `long hair`, `mira \\(x\\)` → `mira (x)`.

    Underscores stay in a kaomoji, a name without two letters in a row: `>_<`, `o_o`, `(o)_(o)`.
    """
    name = re.sub(r"\\([()])", r"\1", name.strip())
    return " ".join(name.replace("_", " ").split()) if _LETTERS.search(name) else name


def folded(name: str) -> str:
    """What spellings of one tag have in common: `T-shirt`, `t shirt` and `tshirt`. A kaomoji is alike to itself only,
    as is a name of which nothing would be left."""
    name = canonical(name)
    return re.sub(r"[\s_\-]", "", name.casefold()) if _LETTERS.search(name) else name


class Vocabulary:
    """The tags that are known, found by any spelling: case, spaces, hyphens, and other names that a tag goes by."""

    def __init__(self, categories: Mapping[str, str], apart: Sequence[Collection[str]] = ()) -> None:
        """
        Args:
            categories: every known tag → its category.
            apart: the labels of each tagger; two of the same one stand for two things, whatever their spelling.
        """
        self.categories, self._apart = categories, apart
        self._by_fold: dict[str, str] = {}
        for tag in categories:
            held = self._by_fold.setdefault(folded(tag), tag)
            if held != tag and _rank(tag) < _rank(held):
                self._by_fold[folded(tag)] = tag

    def spelled(self, name: str, board: bool = True) -> str:
        """What a person typed as the tag that is meant; a name that is not known is only written as captions are.

        Args:
            board: take the names of Danbooru's table for the tags they stand for there, `red boots` for `red footwear`;
                not where a person names a tag that is to be written.
        """
        tag = canonical(name)
        if tag in self.categories:
            return tag
        other = other_name(tag) or tag
        if not board and other not in (tag, _own_name(tag)):
            other = tag
        return other if other in self.categories else self._by_fold.get(folded(other), other)

    def usual(self, tag: str) -> str:
        """The one spelling for a tagger's tag where it, or another tagger, knows several; names of persons, works and
        artists are never merged with tags of another category."""
        category = self.categories.get(tag, "general")
        other = (other_name(tag) or tag) if category in ("general", "meta") else tag
        exact = other != tag and other in self.categories
        held = other if exact else self._by_fold.get(folded(other), other)
        same = self.categories.get(held, category) == category
        return held if same and not any(tag in labels and held in labels for labels in self._apart) else tag


def _rank(tag: str) -> tuple[bool, bool]:
    """Of several spellings the least: one that Danbooru has, then one in lower case."""
    return tag not in tables.tags(), tag != tag.lower()


_OTHER_NAMES = {
    "1girl": "1 girl, one girl, single girl",
    "1boy": "1 boy, one boy, single boy",
    "2girls": "2 girls, two girls",
    "2boys": "2 boys, two boys",
    "glasses": "spectacles, eyeglasses, megane",
    "cat ears": "nekomimi, neko ears, kitty ears",
    "fox ears": "kitsunemimi",
    "rabbit ears": "bunny ears, usamimi",
    "dog ears": "inumimi",
    "pointy ears": "elf ears, pointed ears",
    "thighhighs": "thigh high socks, over the knee socks",
    "smile": "smiling, smiles",
    "blush": "blushing, blushed",
    "looking at viewer": "looking at camera, looking at the viewer",
    "full body": "full body shot",
    "purple eyes": "violet eyes",
    "purple hair": "violet hair",
    "night": "nighttime, at night",
    "day": "daytime",
    "one eye closed": "wink, winking",
    "panties": "pantsu",
    "chibi": "super deformed",
    "greyscale": "black and white",
}
_OTHER_WORDS = {
    "gray": "grey",
    "blond": "blonde",
    "coloured": "colored",
    "multicoloured": "multicolored",
    "moustache": "mustache",
    "jewellery": "jewelry",
    "pyjamas": "pajamas",
    "armour": "armor",
}


def _by_other_name(table: Mapping[str, str]) -> dict[str, str]:
    return {folded(other): tag for tag, text in table.items() for other in text.split(",")}


_KNOWN_BY = _by_other_name(_OTHER_NAMES)


@functools.cache
def _board_names() -> Mapping[str, str]:
    """Names of the board's tables, folded; those that would be a tag of the board when folded are found as they are only."""
    taken = {folded(tag) for tag in tables.tags()}
    return {fold: tag for name, tag in tables.aliases().items() if (fold := folded(name)) not in taken}


@functools.cache
def other_name(tag: str) -> str | None:
    """The usual tag for a name that means the same (`nekomimi` → `cat ears`, `gray hair` → `grey hair`); None for most.

    The words are those of Danbooru, which the taggers know. A kaomoji stays.
    """
    if tag in tables.tags() or not _LETTERS_OR_DIGITS.search(tag):
        return None
    found = tables.aliases().get(tag) or _own_name(tag) or _board_names().get(folded(tag))
    return found if found != tag else None


@functools.cache
def _own_name(tag: str) -> str | None:
    """The usual tag by our own lists of words."""
    found = _KNOWN_BY.get(folded(tag))
    if found is not None:
        return found
    spelled = " ".join(_OTHER_WORDS.get(word, word) for word in tag.split(" "))
    return spelled if spelled != tag else None


def split_caption(text: str) -> tuple[str, ...]:
    """The tags of a caption, in its own spelling."""
    return split_tags(text)


def words(name: str) -> tuple[str, ...]:
    """The words of a tag: `cat ears` → cat, ears; `1girl` → 1girl."""
    return tuple(name.split())


def singular(word: str) -> str:
    """A word without the s of its plural: `eyes` → eye; `dress` and `gas` stay."""
    return word[:-1] if len(word) > 3 and word.endswith("s") and not word.endswith("ss") else word


def sub_words(trigger: str) -> frozenset[str]:
    """The parts of a trigger word, folded: `OyamaMahiro` and `oyama mahiro` → oyama, mahiro. Parts of two letters or
    fewer are too common to tell anything."""
    parts = re.findall(r"[A-Z]+(?![a-z])|[A-Z]?[^\W\d_A-Z]+|\d+", trigger)
    return frozenset(part.casefold() for part in parts if len(part) > 2)


def unique(names: Iterable[str]) -> tuple[str, ...]:
    """Each name once, the first spelling of those that differ in case only."""
    held: dict[str, str] = {}
    for name in names:
        held.setdefault(name.casefold(), name)
    return tuple(held.values())


def resolved(rename: Mapping[str, str]) -> dict[str, str]:
    """Every old name with the last of its new ones."""
    found = {}
    for old in rename:
        new, passed = rename[old], [old]
        while new in rename and new != rename[new]:
            if new in passed:
                raise PrepError(f"renames go in a circle: {' -> '.join([*passed, new])}", "take one of them out")
            passed.append(new)
            new = rename[new]
        found[old] = new
    return found


def unknown_names(categories: Mapping[str, str], rename: Mapping[str, str], *lists: Iterable[str]) -> tuple[str, ...]:
    """Names in renames and lists that no tagger has a tag of; patterns are not looked at."""
    known = {*categories, *rename.values()}
    named = {tag for names in (rename, *lists) for tag in names if not set("*?[") & set(tag)}
    return tuple(sorted(named - known)) if categories else ()
