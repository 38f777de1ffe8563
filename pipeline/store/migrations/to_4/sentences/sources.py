"""What became of files of the sources, and where repeats came from."""

from __future__ import annotations

import ast
import re
from collections.abc import Mapping

from pipeline.store.migrations.to_4.sentences.parse import NUMBER, Coded, Sentence, as_recorded, read, share, whole

_LINK = "(?:a link to (?P<link>.+))?"
_WHY = "(?P<why>.*)"
_MAYBE_WHY = "(?P<why>.+)?"
_ENTRIES = (
    r"(?P<used>\d+) of (?P<entries>\d+) entries name a picture(?:; wrong: (?P<wrong>\d+), such as (?P<such_as>.*))?"
)
_COUNTED = {"used": int, "entries": int, "wrong": int, "tags": int, "bytes": int, "byte": int, "mebibytes": int}
SENTENCES: Mapping[str, Sentence] = {
    "placed": Sentence("imported", _LINK),
    "renamed, unsafe name": Sentence("renamed_unsafe", _LINK),
    "renamed, name taken": Sentence("renamed_taken", _LINK),
    "extension from content": Sentence("extension_from_content", _LINK),
    "edited in the set": Sentence("edited_in_set", _LINK),
    "moved": Sentence("moved", "(?P<to>.+)"),
    "no longer among the sources": Sentence("no_longer_a_source"),
    "caption taken in": Sentence("caption_imported"),
    "caption in the set differs and stays": Sentence("caption_differs"),
    "same as another caption file": Sentence("caption_repeated", "(?P<other>.+)"),
    "set aside for another caption file": Sentence("caption_excluded", "(?P<other>.+)"),
    "text without a picture": Sentence("caption_without_image"),
    "caption is not UTF-8": Sentence("caption_not_utf8", r"(?P<why>.*) at byte (?P<byte>\d+)", _COUNTED),
    "caption is larger than 1 MiB": Sentence("caption_too_large", r"(?P<bytes>\d+) bytes", _COUNTED),
    "caption cannot be read": Sentence("caption_unreadable", _WHY),
    "caption is empty": Sentence("caption_empty"),
    "tags taken in": Sentence("tags_imported", r"(?P<tags>\d+) tags", _COUNTED),
    "metadata not used": Sentence("metadata_not_used", _WHY),
    "metadata names no picture": Sentence("metadata_without_image", _ENTRIES, _COUNTED),
    "json not used": Sentence("json_not_used", _WHY),
    "json without tags or caption": Sentence("json_empty"),
    "multiply.txt taken in": Sentence("multiply_read", "(?P<text>.*)"),
    "multiply.txt holds no number above 0": Sentence("multiply_no_number", "(?P<text>.*)", {"text": ast.literal_eval}),
    "multiply.txt without pictures": Sentence("multiply_without_images", "(?P<text>.*)"),
    "not a picture": Sentence("not_an_image"),
    "hidden": Sentence("hidden"),
    "EveryDream setting, not used": Sentence("everydream_setting"),
    "name is not UTF-8": Sentence("name_not_utf8"),
    "cannot be read": Sentence("unreadable_file", _MAYBE_WHY),
    "folder cannot be read": Sentence("folder_unreadable", _WHY),
    "not a regular file": Sentence("not_a_file"),
    "link leads out of its source": Sentence("link_leads_out", "to (?P<to>.+)"),
    "link loop": Sentence("link_loop", "(?:back to (?P<to>.+))?"),
    "broken link": Sentence("broken_link"),
    "folder read already": Sentence("folder_repeated", "as (?P<to>.+)"),
    "a set of prep": Sentence("a_set"),
    "archive; name it as a source to use it": Sentence("archive"),
    "archive of a kind that is not read": Sentence("archive_unknown"),
    "archive, a source of its own": Sentence("archive_a_source"),
    "archive not read to its end": Sentence("archive_partial", _WHY),
    "archive unpacks to too much": Sentence("archive_too_large", "more than (?P<limit>.+)"),
    "link or device in an archive": Sentence("entry_special"),
    "encrypted entry": Sentence("entry_encrypted"),
    "another entry of the archive has this name": Sentence("entry_repeated"),
    "entry unpacks to too much": Sentence("entry_too_large", r"more than (?P<mebibytes>\d+) MiB", _COUNTED),
    "damaged entry": Sentence("entry_damaged", _WHY),
    "entry's name holds a backslash": Sentence("entry_backslash"),
    "entry's name leads out of the archive": Sentence("entry_leads_out"),
}
_METADATA = Sentence("metadata_imported", _ENTRIES, _COUNTED)
_SHARE = re.compile(r"(?P<target>[\d.]+)% promised, (?P<images>[\d ]+) pictures? of (?P<concept>.+)", re.DOTALL)
_BALANCED = {"share of its concept": "share_of_concept", "held at max_repeat": "capped"}


def placed(phrase: str, figures: str) -> Coded:
    if phrase == "source vanished":
        gone = figures == "and the picture in the set too"
        return Coded("source_vanished", {"image_gone": True} if gone else {})
    if phrase == "metadata taken in":
        found = _METADATA.read(figures)
        says = ["repeats" if name == "multiplier" else name for name in figures.split(", ")]
        return found or Coded("metadata_imported", {"says": says})
    return read(SENTENCES, phrase, figures)


def user_repeats(phrase: str, figures: str) -> Coded:
    """Where an image's repeats came from, and whose word was passed over."""
    if phrase == "repeats in the folder's name":
        return Coded("folder_name", {"folder": figures})
    if phrase == "multiplier in metadata":
        where, _, other = figures.partition(", before ")
        return Coded("metadata", {"where": where} | ({"instead_of": _source(other)} if other else {}))
    return _multiply(figures) or as_recorded(phrase, figures)


def _multiply(figures: str) -> Coded | None:
    """`multiply.txt 0.5, before 3_Oriel of the folder's name`"""
    pattern = rf"multiply\.txt (?P<value>{NUMBER})(?:, before (?P<folder>.+) of the folder's name)?"
    found = re.fullmatch(pattern, figures, re.DOTALL)
    if found is None:
        return None
    named = Coded("folder_name", {"folder": found["folder"]}) if found["folder"] is not None else None
    return Coded("multiply_file", {"value": float(found["value"])} | ({"instead_of": named} if named else {}))


def _source(figures: str) -> Coded:
    """A source of repeats by its figures alone."""
    if re.match(r"\d+_", figures):
        return Coded("folder_name", {"folder": figures})
    return _multiply(figures) or Coded("metadata", {"where": figures})


def repeats(phrase: str, figures: str) -> Coded:
    """Where the repeats that hold came from."""
    shared = _SHARE.fullmatch(figures)
    if phrase in _BALANCED and shared is not None:
        counted = {"images": whole(shared["images"]), "concept": shared["concept"]}
        return Coded(_BALANCED[phrase], {"target": share(shared["target"]), **counted})
    user_set = re.fullmatch(rf"(?P<exact>{NUMBER}) an epoch(?:, (?P<source>.+))?", figures, re.DOTALL)
    if phrase == "given by its folder" and user_set is not None:
        source = {"source": _source(user_set["source"])} if user_set["source"] else {}
        return Coded("user_set", {"exact": float(user_set["exact"]), **source})
    return as_recorded(phrase, figures)
