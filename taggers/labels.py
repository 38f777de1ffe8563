"""The label file of a tagger: which tag each of the model's outputs stands for."""

from __future__ import annotations

import csv
import io
import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from taggers.errors import TaggerError
from taggers.spec import LabelKind

CATEGORIES = {
    0: "general",
    1: "artist",
    3: "copyright",
    4: "character",
    5: "meta",
    9: "rating",
    10: "year",
}
"""The numbers of Danbooru, with those that taggers add to them."""
CATEGORY_NAMES = (*CATEGORIES.values(), "quality", "model")
WD_COLUMNS = ("tag_id", "name", "category", "count")
LARGEST_BYTES = 64 * 2**20
LARGEST_PLACE = 1_000_000
AGAIN = "fetch it again from where the model came from"
_LETTERS = re.compile(r"[^\W\d_]{2}")
_FORBIDDEN = re.compile(r"[,\x00-\x1f\x7f\u2028\u2029]")


@dataclass(frozen=True, slots=True)
class Label:
    """One output of a model: the tag as it is written in captions, and its category; "" where it stands for none.

    `threshold` is the probability from which this very tag holds, where the label file says so.
    """

    name: str
    category: str
    threshold: float | None = None


NO_LABEL = Label("", "")


def normalized(name: str) -> str:
    """A booru name as written in captions: `cat_ears` → `cat ears`. In a kaomoji, a name without two letters in a row,
    the underscore is part of the drawing: `>_<` and `o_o` stay."""
    return name.replace("_", " ") if _LETTERS.search(name) else name


def read_labels(file: Path, kind: LabelKind = "csv") -> tuple[Label, ...]:
    """Read every label, the first output's first; blank lines are none.

    Raises:
        TaggerError: not readable, of another kind, or with a name that no caption could hold.
    """
    text = _text(file)
    if kind == "lines":
        lines = enumerate(text.split("\n"), 1)
        labels = [_label(line, "general", f"{file}, line {number}") for number, line in lines if line.strip()]
    elif kind == "json":
        labels = _mapped(text, file)
    else:
        labels = list(_rows(text, file))
    if not labels:
        raise TaggerError(f"{file} holds no labels", AGAIN)
    return tuple(labels)


def columns(file: Path) -> tuple[str, ...]:
    """The header of a csv label file."""
    return tuple(next(csv.reader(io.StringIO(_text(file).split("\n", 1)[0])), []))


def _rows(text: str, file: Path) -> Iterator[Label]:
    """Rows of a csv file; the row order is the order of outputs."""
    reader = csv.reader(io.StringIO(text), strict=True)
    try:
        header = next(reader, [])
        if "name" not in header or "category" not in header:
            raise TaggerError(
                f"{file} has the columns {', '.join(header) or 'none'}; name and category are needed",
                "use the selected_tags.csv that belongs to the model",
            )
        at_name, at_category = header.index("name"), header.index("category")
        at_threshold = header.index("best_threshold") if "best_threshold" in header else None
        for row in reader:
            if not any(row):
                continue
            where = f"{file}, line {reader.line_num}"
            if len(row) != len(header):
                raise TaggerError(f"{where}: {len(row)} columns, the header has {len(header)}", AGAIN)
            threshold = None if at_threshold is None else _threshold(row[at_threshold], where)
            yield _label(row[at_name], _category(row[at_category], where), where, threshold)
    except csv.Error as error:
        raise TaggerError(f"{file}, line {reader.line_num}: {error}", AGAIN) from error


def _mapped(text: str, file: Path) -> list[Label]:
    """Labels of a JSON mapping from output to name and category, in either shape; outputs it does not name have none.

    {"0": {"tag": "1girl", "category": "General"}}, or {"idx_to_tag": {"0": "1girl"}, "tag_to_category": {"1girl":
    "General"}}, which may also stand below dataset_info and tag_mapping.
    """
    try:
        found = json.loads(text)
        found = found.get("dataset_info", {}).get("tag_mapping", found)
        if "idx_to_tag" in found:
            categories = found["tag_to_category"]
            pairs = {place: (name, categories[name]) for place, name in found["idx_to_tag"].items()}
        else:
            pairs = {place: (entry["tag"], entry["category"]) for place, entry in found.items()}
        places = {int(place): pair for place, pair in pairs.items()}
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise TaggerError(
            f"{file} does not map outputs to names and categories: {type(error).__name__}: {error}",
            "use the label file that belongs to the model",
        ) from error
    if places and not 0 <= min(places) <= max(places) < LARGEST_PLACE:
        raise TaggerError(f"{file} names the outputs {min(places)} to {max(places)}", AGAIN)
    return [_entry(places, place, file) for place in range(max(places, default=-1) + 1)]


def _entry(places: Mapping[int, tuple[Any, Any]], place: int, file: Path) -> Label:
    if place not in places:
        return NO_LABEL
    (name, category), where = places[place], f"{file}, output {place}"
    if not isinstance(name, str):
        raise TaggerError(f"{where}: {name!r} is no name", AGAIN)
    return _label(name, _category(str(category), where), where)


def _text(file: Path) -> str:
    try:
        if file.stat().st_size > LARGEST_BYTES:
            raise TaggerError(
                f"{file} is larger than {LARGEST_BYTES // 2**20} MiB; no label file is",
                "use the label file that belongs to the model",
            )
        return file.read_bytes().decode("utf-8-sig").replace("\r\n", "\n")
    except (OSError, UnicodeDecodeError) as error:
        raise TaggerError(f"{file} cannot be read: {error}", "it must be a UTF-8 text") from error


def _label(name: str, category: str, where: str, threshold: float | None = None) -> Label:
    name = name.strip()
    if category == "rating":
        name = name.removeprefix("rating:").removeprefix("rating_")
    if not name or _FORBIDDEN.search(name):
        raise TaggerError(
            f"{where}: {name!r} cannot be a tag, captions separate tags by commas",
            "rename it in the label file; keep its place, which says which output it is",
        )
    return Label(normalized(name), category, threshold)


def _category(text: str, where: str) -> str:
    """A category by its number or its name."""
    if text.strip().lower() in CATEGORY_NAMES:
        return text.strip().lower()
    try:
        return CATEGORIES[int(float(text))]
    except (ValueError, KeyError, OverflowError):
        raise TaggerError(
            f"{where}: category {text!r} is not one of "
            f"{', '.join(f'{number} {name}' for number, name in CATEGORIES.items())}, quality, model",
            "use the label file that belongs to the model",
        ) from None


def _threshold(text: str, where: str) -> float | None:
    """A tag's own threshold; an empty cell is none."""
    if not text.strip():
        return None
    try:
        threshold = float(text)
    except ValueError:
        threshold = -1.0
    if not 0 <= threshold <= 1:
        raise TaggerError(f"{where}: best_threshold is {text!r}, not a number from 0 to 1", AGAIN)
    return threshold
