"""Tables that describe many images in one file: kohya's metadata JSON, JSON lines, and imagefolder's metadata.

A table names images by path, by file name or by stem, often as another machine wrote it. A name is only looked up among
the images that were found, so that it can lead nowhere else.
"""

from __future__ import annotations

import csv
import json
import math
import re
import unicodedata
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pipeline.sources.beside.metadata_columns import (
    NAMES,
    REPEATS,
    Columns,
    caption_of,
    columns_of,
    joined,
    lowered,
    name_of,
)
from pipeline.sources.source_file import extension_of

LARGEST_BYTES = 256 * 2**20
MOST_REPEATS = 1_000_000.0
SURROGATE = re.compile(r"\\u[dD][89a-fA-F]")
"""An escape of JSON for half a character."""


@dataclass(frozen=True, slots=True)
class Described:
    """What a table or a sidecar says of one image: "" and None where it says nothing."""

    caption: str = ""
    concept: str = ""
    repeats: float | None = None
    where: str = ""
    name: str = ""
    """What the image is called, where its file had to be called otherwise."""


@dataclass(slots=True)
class Table:
    """One file's rows, (name, what it says), and what was wrong in it."""

    rows: list[tuple[str, Described]] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)
    columns: Columns = field(default_factory=Columns)


def read_json(file: str) -> Any:
    """A JSON document.

    Raises:
        ValueError: it cannot be read; the text says why.
    """
    try:
        if Path(file).stat().st_size > LARGEST_BYTES:
            raise ValueError(f"larger than {LARGEST_BYTES // 2**20} MiB")
        return parsed(Path(file).read_bytes().decode("utf-8-sig"))
    except UnicodeDecodeError as error:
        raise ValueError("not UTF-8") from error
    except json.JSONDecodeError as error:
        raise ValueError(f"not JSON: {error}") from error
    except RecursionError as error:
        raise ValueError("not JSON: nested too deeply") from error
    except OSError as error:
        raise ValueError(f"cannot be read: {error.strerror}") from error


def parsed(text: str) -> Any:
    """A JSON text.

    Raises:
        ValueError: it is none, or holds half a character (a lone surrogate), which no file and no table can hold.
        RecursionError: it is nested too deeply.
    """
    document = json.loads(text)
    if SURROGATE.search(text):
        try:
            json.dumps(document, ensure_ascii=False).encode()
        except UnicodeEncodeError as error:
            raise ValueError("a text holds half a character (a lone surrogate)") from error
    return document


def read_table(file: str, name: str) -> Table:
    """The rows of a table, its format detected by what it holds; a row that is wrong is reported and left out.

    Args:
        file: where its bytes lie.
        name: what it is called, with the extension.
    Raises:
        ValueError: it is no such table; the text says why.
    """
    table = Table()
    rows = [(number, key, lowered(values)) for number, key, values in _rows(file, extension_of(name).lower(), table)]
    table.columns = columns_of(values for _, _, values in rows)
    for number, key, values in rows:
        key = key if key is not None else name_of(values)
        try:
            if not isinstance(key, str) or not key.strip():
                raise ValueError(f"no {NAMES[0]}")
            kohya = number.startswith("entry")
            table.rows.append((key.strip(), described(values, f"{name} {number}", table.columns, kohya)))
        except ValueError as error:
            table.problems.append(f"{number}: {error}")
    return table


def _rows(file: str, suffix: str, table: Table) -> Iterator[tuple[str, Any, Mapping[str, Any]]]:
    """(which row, the image's name, its values) for every row."""
    if suffix == ".csv":
        yield from _csv(file)
    elif suffix == ".parquet":
        yield from _parquet(file)
    elif suffix == ".jsonl":
        yield from _lines(file, table)
    else:
        document = read_json(file)
        if isinstance(document, list) and document and all(isinstance(row, dict) for row in document):
            yield from ((f"row {n}", None, row) for n, row in enumerate(document, 1))
        elif isinstance(document, dict) and document and all(isinstance(row, dict) for row in document.values()):
            yield from ((f"entry {key[:80]}", key, row) for key, row in document.items())
        else:
            raise ValueError("json of no known kind")


def _csv(file: str) -> Iterator[tuple[str, Any, Mapping[str, Any]]]:
    if Path(file).stat().st_size > LARGEST_BYTES:
        raise ValueError(f"larger than {LARGEST_BYTES // 2**20} MiB")
    try:
        with Path(file).open(encoding="utf-8-sig", newline="") as stream:
            reader = csv.DictReader(stream, strict=True)
            if not set(NAMES) & set(lowered(dict.fromkeys(reader.fieldnames or (), ""))):
                raise ValueError("csv without a column file_name")
            for row in reader:
                yield f"line {reader.line_num}", None, {key: value for key, value in row.items() if key is not None}
    except (csv.Error, UnicodeDecodeError, OSError) as error:
        raise ValueError(f"not a table: {error}") from error


def _lines(file: str, table: Table) -> Iterator[tuple[str, Any, Mapping[str, Any]]]:
    if Path(file).stat().st_size > LARGEST_BYTES:
        raise ValueError(f"larger than {LARGEST_BYTES // 2**20} MiB")
    with Path(file).open("rb") as stream:
        for number, line in enumerate(stream, 1):
            if not line.strip():
                continue
            try:
                row = parsed(line.decode("utf-8-sig"))
                if not isinstance(row, dict):
                    raise ValueError("not a table")
            except (ValueError, RecursionError) as error:
                table.problems.append(f"line {number}: not JSON: {error}")
                continue
            yield f"line {number}", None, row


def _parquet(file: str) -> Iterator[tuple[str, Any, Mapping[str, Any]]]:
    """The rows of a Parquet file, read by pyarrow, which is a package of its own."""
    try:
        import pyarrow
        import pyarrow.parquet
    except ImportError as error:
        raise ValueError("Parquet needs the package pyarrow: pip install pyarrow") from error
    try:
        with pyarrow.parquet.ParquetFile(file) as table:
            if not set(NAMES) & {name.strip().lower() for name in table.schema_arrow.names}:
                raise ValueError("parquet without a column file_name")
            wanted = [
                name
                for name, kind in zip(table.schema_arrow.names, table.schema_arrow.types, strict=True)
                if not _bytes(kind)
            ]
            number = 0
            for batch in table.iter_batches(columns=wanted):
                for row in batch.to_pylist():
                    number += 1
                    yield f"row {number}", None, row
    except (pyarrow.ArrowException, OSError, UnicodeDecodeError) as error:
        raise ValueError(f"not a table: {error}") from error


def _bytes(kind: Any) -> bool:
    """Whether a column holds images themselves, which are not wanted here."""
    return str(kind).startswith(("binary", "large_binary"))


def described(values: Mapping[str, Any], where: str, columns: Columns | None = None, kohya: bool = False) -> Described:
    """What a row says of its image; with `kohya` its tags belong to the caption, as kohya-ss/sd-scripts joins them.

    Args:
        values: the row, its columns in small letters.

    Raises:
        ValueError: a value is of a type or size that it cannot be; the text says which.
    """
    caption = caption_of(values, columns or Columns())
    tags = values.get("tags") if kohya or "image_path" in values or (columns is not None and not caption) else None
    if isinstance(tags, list) and all(isinstance(each, str) for each in tags):
        tags = joined(tags)
    if tags and not isinstance(tags, str):
        raise ValueError("tags are neither a text nor a list of texts")
    texts = [each.strip() for each in (caption, tags) if each]
    return Described(", ".join(texts), _concept(values.get("concept")), _repeats(values), where)


def _concept(value: Any) -> str:
    if value in (None, ""):
        return ""
    parts = value.split("/") if isinstance(value, str) else [""]
    if any(part.strip() in ("", ".", "..") for part in parts) or any(ord(letter) < 32 for letter in value):
        raise ValueError(f"concept {value!r} is not a path such as characters/fanart/Mihari")
    return unicodedata.normalize("NFC", value)


def _repeats(values: Mapping[str, Any]) -> float | None:
    key = next((key for key in REPEATS if values.get(key) not in (None, "")), None)
    if key is None:
        return None
    value = values[key]
    number = positive(value)
    if number is None:
        raise ValueError(f"{key} {value!r} is not a number above 0, of at most {MOST_REPEATS:,.0f}")
    return number


def positive(value: Any) -> float | None:
    """A number above 0 that repeats can be, from a number or a text; None for anything else."""
    try:
        number = float(value) if isinstance(value, int | float | str) and not isinstance(value, bool) else math.nan
    except (ValueError, OverflowError):
        return None
    return number if 0 < number <= MOST_REPEATS else None


class ImageTable:
    """The images of the sources, to be looked up by the names that tables use."""

    def __init__(self, paths: Iterable[str]) -> None:
        self.found: dict[str, list[str]] = {}
        for path in paths:
            parts = _parts(path)
            name, stem = parts[-1], parts[-1].rpartition(".")[0] or parts[-1]
            for key in {name, stem, *("/".join((*parts[-2:-1], last)) for last in (name, stem))}:
                self.found.setdefault(key, []).append(path)

    def find(self, name: str, table: str) -> str | None:
        """The one image that a table means; None when there is none, or more than one.

        Args:
            name: as the table has it: relative to its own folder, absolute on some machine, or a bare name or stem.
            table: the path of the table.
        """
        wanted = [part for part in _parts(name) if part not in ("", ".")]
        if not wanted or ".." in wanted:
            return None
        above = _parts(table)[:-1]
        beside = [*above, *wanted[:-1]]
        near = self.found.get("/".join((*beside[-1:], wanted[-1])), [])
        exact = [path for path in near if _parts(path)[:-1] == beside]
        if exact:
            return _only(exact)
        if name.startswith(("/", "\\")) or name[1:2] == ":":
            return self._best(wanted)
        if len(wanted) == 1:
            return _only(self.found.get(wanted[0], []))
        return _only(
            [
                path
                for path in self.found.get("/".join(wanted[-2:]), [])
                if _parts(path)[-len(wanted) : -1] == wanted[:-1]
            ]
        )

    def _best(self, wanted: list[str]) -> str | None:
        """The image that shares the most folders with an absolute path, which another machine may have written."""
        found = self.found.get("/".join(wanted[-2:])) or self.found.get(wanted[-1], [])
        if len(found) < 2:
            return _only(found)
        shared = [(_shared(_parts(path)[:-1], wanted[:-1]), path) for path in found]
        most = max(count for count, _ in shared)
        return _only([path for count, path in shared if count == most])


def _only(paths: list[str]) -> str | None:
    return paths[0] if len(paths) == 1 else None


def _parts(path: str) -> list[str]:
    return unicodedata.normalize("NFC", path).replace("\\", "/").split("/")


def _shared(one: list[str], other: list[str]) -> int:
    """How many folders two paths share, from the last one on."""
    count = 0
    while count < min(len(one), len(other)) and one[-1 - count] == other[-1 - count]:
        count += 1
    return count
