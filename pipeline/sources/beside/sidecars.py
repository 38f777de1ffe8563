"""Files that belong to one image by their name: captions (`a.txt`, `a.png.txt`, `a.caption`) and JSON."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from pipeline.core.filenames import same_file_key
from pipeline.sources.beside.booru import booru_tags, is_post
from pipeline.sources.beside.metadata_columns import CAPTIONS, REPEATS, lowered
from pipeline.sources.beside.metadata_files import Described, described, read_json
from pipeline.sources.source_file import CAPTION, IMAGE, META, TABLE, Found, cut, is_meta, without_extension
from pipeline.store.reasons.placement import PlacementReason
from pipeline.store.reasons.reason import Cause

LARGEST_CAPTION = 2**20
OF_EXPORT = (*CAPTIONS, "concept", *REPEATS)
"""What the JSON beside an image may say. In what a downloader wrote, `caption` is the post's text, not a caption."""


class Beside:
    """The images of the sources by folder and name, to find whose sidecar a file is."""

    def __init__(self, found: Iterable[Found]) -> None:
        self.stems: dict[str, list[str]] = {}
        self.names: dict[str, list[str]] = {}
        self.loose: dict[str, list[str]] = {}
        for each in found:
            if each.kind == IMAGE and not each.problem:
                whole = unicodedata.normalize("NFC", each.path)
                stem = without_extension(whole) if not each.extension else whole
                self.stems.setdefault(stem, []).append(each.path)
                self.names.setdefault(whole, []).append(each.path)
                self.loose.setdefault(same_file_key(stem), []).append(each.path)

    def owners(self, sidecar: Found) -> list[str]:
        """The images a sidecar belongs to: of its stem, else named whole before its extension, else alike but for case."""
        base = _owner_base(unicodedata.normalize("NFC", sidecar.path))
        return self.stems.get(base) or self.names.get(base) or self.loose.get(same_file_key(base)) or []

    def of(self, found: Iterable[Found], kind: str) -> dict[str, list[Found]]:
        """Image → its sidecars of one kind, the one that goes first at the front."""
        lists: dict[str, list[Found]] = {}
        for each in found:
            if each.kind == kind and not each.problem:
                for image in self.owners(each):
                    lists.setdefault(image, []).append(each)
        return {image: sorted(files, key=_rank) for image, files in lists.items()}


def _owner_base(path: str) -> str:
    """The path of what a sidecar is named after: without its extension, and of waifuc's `.NAME_meta.json` NAME."""
    name = cut(path)[1]
    if is_meta(name):
        return path[: len(path) - len(name)] + name[1 : -len(META)]
    return without_extension(path)


def _rank(sidecar: Found) -> tuple[bool, int, str]:
    """`.txt` goes before `.caption`, and `a.txt` before `a.png.txt`."""
    return not sidecar.path.lower().endswith(".txt"), len(sidecar.path), sidecar.path


@dataclass(frozen=True, slots=True)
class CaptionText:
    """What a caption file holds, or why it is not taken."""

    text: str = ""
    problem: Cause | None = None


def read_caption(found: Found) -> CaptionText:
    """A caption file's text as it stands there, without a byte order mark."""
    assert found.kind == CAPTION
    if found.bytes > LARGEST_CAPTION:
        return CaptionText(problem=Cause(PlacementReason.CAPTION_TOO_LARGE, {"bytes": found.bytes}))
    try:
        text = Path(found.place).read_bytes().decode("utf-8-sig")
    except UnicodeDecodeError as error:
        return CaptionText(problem=Cause(PlacementReason.CAPTION_NOT_UTF8, {"why": error.reason, "byte": error.start}))
    except OSError as error:
        return CaptionText(problem=Cause(PlacementReason.CAPTION_UNREADABLE, {"why": error.strerror}))
    return CaptionText(text) if text.strip() else CaptionText(problem=Cause(PlacementReason.CAPTION_EMPTY))


@dataclass(frozen=True, slots=True)
class Sidecar:
    """What an image's JSON says: tag → category, and what a table could say too."""

    tags: dict[str, str]
    described: Described


def read_sidecar(found: Found) -> Sidecar:
    """An image's own JSON.

    Raises:
        ValueError: it is none, too large, or of wrong types; the text says which.
    """
    assert found.kind == TABLE
    document: Any = read_json(found.place)
    if not isinstance(document, dict):
        raise ValueError("json is not a table of names and values")
    if is_post(document):
        return Sidecar(booru_tags(document), described({}, found.name))
    values = lowered(document)
    about = {key: values[key] for key in OF_EXPORT if key in values}
    return Sidecar(booru_tags(document), replace(described(about, found.name), name=_name(document.get("name"))))


def _name(value: Any) -> str:
    """A file's name as prep's own shards tell it; "" for anything that is not one."""
    plain = isinstance(value, str) and value.isprintable() and not set(value) & set('/\\:*?"<>|')
    return value if plain and value.strip(". ") else ""


def is_sidecar(found: Found, beside: Beside) -> bool:
    """Whether a data file belongs to one image, and is no table of many."""
    return found.kind == TABLE and found.path.lower().endswith(".json") and bool(beside.owners(found))
