"""The columns of metadata tables, by the names that dataset tools give them: case does not matter."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

NAMES = ("file_name", "filename", "image_path", "image_file", "file", "image", "img_path", "img", "path")
"""Columns that name the image, the first that is there: imagefolder's, kohya's, and those of exports."""
CAPTIONS = ("caption", "text", "prompt", "description", "captions", "texts", "prompts")
REPEATS = ("repeats", "num_repeats", "multiply", "multiplier")
"""Columns of how often an image is to be shown: prep's and kohya's, EveryDream's, and what others write."""
OTHERS = ("tags", "concept", *REPEATS)
BESIDE = frozenset({"train_resolution", "latent_size", "width", "height", "content", "bytes", "size", "split"})
"""Columns of kohya, imagefolder and prep itself that say nothing that is wanted here."""
SENTENCE_WORDS = 4
"""A text of more words in a list is a caption of its own, not a tag."""


@dataclass(slots=True)
class Columns:
    """What became of a table's columns: those used, by what for, and those that nothing is known of."""

    used: dict[str, str] = field(default_factory=dict)
    unknown: tuple[str, ...] = ()
    fallback: str = ""
    """A column of texts that is read as captions, as it is the only one and no caption column is there."""


def lowered(row: Mapping[str, Any]) -> dict[str, Any]:
    """A row with its columns in small letters; of two that then are one, the first that says something holds."""
    found: dict[str, Any] = {}
    for key, value in row.items():
        name = str(key).strip().lower()
        if found.get(name) in (None, ""):
            found[name] = value
    return found


def name_of(row: Mapping[str, Any]) -> Any:
    """The image's name in a row, None without one; a table of its own holds it as `path`, as dataset exports do."""
    for key in NAMES:
        value = row.get(key)
        if isinstance(value, Mapping):
            value = value.get("path")
        if value:
            return value
    return None


def columns_of(rows: Iterable[Mapping[str, Any]]) -> Columns:
    """What a table's columns are, judged by all of its rows, whose keys are in small letters."""
    filled: Counter[str] = Counter()
    texts: Counter[str] = Counter()
    total = 0
    for row in rows:
        total += 1
        for key, value in row.items():
            if value not in (None, "", []):
                filled[key] += 1
                texts[key] += isinstance(value, str) or _is_texts(value)
    columns = Columns()
    captions = [key for key in CAPTIONS if filled[key]]
    others = [key for key in filled if key not in (*NAMES, *CAPTIONS, *OTHERS)]
    telling = [key for key in others if texts[key] == filled[key] == total and total]
    if not captions and len(telling) == 1 and not filled["tags"]:
        columns.fallback = telling[0]
    columns.used = dict.fromkeys((*captions, *filter(None, (columns.fallback,))), "caption")
    columns.used |= {key: key for key in OTHERS if filled[key]}
    columns.unknown = tuple(key for key in others if key != columns.fallback and key not in BESIDE)
    return columns


def caption_of(row: Mapping[str, Any], columns: Columns) -> str:
    """The caption of a row.

    Raises:
        ValueError: it is neither a text nor a list of texts.
    """
    keys = (*CAPTIONS, *filter(None, (columns.fallback,)))
    value = next((row[key] for key in keys if row.get(key)), "")
    if isinstance(value, str):
        return value.strip()
    if not _is_texts(value):
        raise ValueError("caption is neither a text nor a list of texts")
    return joined(value)


def joined(texts: Iterable[str]) -> str:
    """A list as a caption: tags with commas between, or captions a line each where one of them is more than a tag."""
    parts = [" ".join(text.split()) for text in texts if text.strip()]
    several = any("," in part or len(part.split()) > SENTENCE_WORDS for part in parts)
    return ("\n" if several else ", ").join(parts)


def _is_texts(value: Any) -> bool:
    return isinstance(value, list) and bool(value) and all(isinstance(each, str) for each in value)
