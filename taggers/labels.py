"""The label file of a tagger: its row order is the order of the model's outputs."""

from __future__ import annotations

import csv
import io
import re
from dataclasses import dataclass
from pathlib import Path

from taggers.errors import TaggerError
from taggers.spec import LabelKind

CATEGORIES = {0: "general", 1: "artist", 3: "copyright", 4: "character", 5: "meta", 9: "rating"}
WD_COLUMNS = ("tag_id", "name", "category", "count")
LARGEST_BYTES = 64 * 2**20
_LETTERS = re.compile(r"[^\W\d_]{2}")
_FORBIDDEN = re.compile(r"[,\x00-\x1f\x7f\u2028\u2029]")


@dataclass(frozen=True, slots=True)
class Label:
    """One output of a model: the tag as it is written in captions, and its category."""

    name: str
    category: str


def spoken(name: str) -> str:
    """A booru name as written in captions: `cat_ears` → `cat ears`. In a kaomoji, a name without two letters in a row,
    the underscore is part of the drawing: `>_<` and `o_o` stay."""
    return name.replace("_", " ") if _LETTERS.search(name) else name


def read_labels(file: Path, kind: LabelKind = "csv") -> tuple[Label, ...]:
    """Read every label in order; blank lines are none.

    Raises:
        TaggerError: not readable, without a name or category column, or a name that no caption could hold.
    """
    text = _text(file)
    if kind == "lines":
        labels = [
            Label(_checked(line.strip(), number, file), "general")
            for number, line in enumerate(text.split("\n"), 1)
            if line.strip()
        ]
    else:
        labels = list(_rows(text, file))
    if not labels:
        raise TaggerError(f"{file} holds no labels", "fetch it again from where the model came from")
    return tuple(labels)


def columns(file: Path) -> tuple[str, ...]:
    """The header of a csv label file."""
    return tuple(next(csv.reader(io.StringIO(_text(file).split("\n", 1)[0])), []))


def _rows(text: str, file: Path) -> list[Label]:
    reader = csv.reader(io.StringIO(text), strict=True)
    labels = []
    try:
        header = next(reader, [])
        if "name" not in header or "category" not in header:
            raise TaggerError(
                f"{file} has the columns {', '.join(header) or 'none'}; name and category are needed",
                "use the selected_tags.csv that belongs to the model",
            )
        at_name, at_category = header.index("name"), header.index("category")
        for row in reader:
            if not any(row):
                continue
            if len(row) != len(header):
                raise TaggerError(
                    f"{file}, line {reader.line_num}: {len(row)} columns, the header has {len(header)}",
                    "fetch it again from where the model came from",
                )
            labels.append(
                Label(_checked(row[at_name], reader.line_num, file), _category(row[at_category], reader.line_num, file))
            )
    except csv.Error as error:
        raise TaggerError(
            f"{file}, line {reader.line_num}: {error}", "fetch it again from where the model came from"
        ) from error
    return labels


def _text(file: Path) -> str:
    try:
        if file.stat().st_size > LARGEST_BYTES:
            raise TaggerError(
                f"{file} is larger than {LARGEST_BYTES // 2**20} MiB; no label file is",
                "use the selected_tags.csv that belongs to the model",
            )
        return file.read_bytes().decode("utf-8-sig").replace("\r\n", "\n")
    except (OSError, UnicodeDecodeError) as error:
        raise TaggerError(f"{file} cannot be read: {error}", "it must be a UTF-8 text") from error


def _checked(name: str, line: int, file: Path) -> str:
    if not name.strip() or _FORBIDDEN.search(name):
        raise TaggerError(
            f"{file}, line {line}: {name!r} cannot be a tag, captions separate tags by commas",
            "rename it in the label file; keep its place, the order of rows is the order of outputs",
        )
    return spoken(name.strip())


def _category(text: str, line: int, file: Path) -> str:
    try:
        return CATEGORIES[int(float(text))]
    except (ValueError, KeyError, OverflowError):
        raise TaggerError(
            f"{file}, line {line}: category {text!r} is not one of "
            f"{', '.join(f'{number} {name}' for number, name in CATEGORIES.items())}",
            "use the selected_tags.csv that belongs to the model",
        ) from None
