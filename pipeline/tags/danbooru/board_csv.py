"""Files of a board: which tag implies which, which name stands for which tag, which tags there are.

The columns are those of the dumps that boards publish (`antecedent_name`, `consequent_name` and `status`; Danbooru and
e621) or of tables made from them (`tag` and `implies`; `alias` and `tag`; `tag`).
"""

from __future__ import annotations

import csv
import gzip
import io
import zlib
from collections.abc import Iterator, Sequence
from pathlib import Path

from pipeline.core.errors import PrepError
from pipeline.core.files import read_limited
from pipeline.tags.vocabulary.aliases import canonical

LARGEST_BYTES = 64 * 2**20
IMPLIES = (("tag", "implies"), ("antecedent_name", "consequent_name"))
STANDS_FOR = (("alias", "tag"), ("antecedent_name", "consequent_name"))
NAMES = (("tag",), ("name",))
_ACTIVE = "active"


def read_implications(file: Path) -> dict[str, tuple[str, ...]]:
    """Tag → the tags that it implies directly, in the spelling of captions.

    Raises:
        PrepError: the file cannot be read, is no CSV with these columns, or holds no implication.
    """
    found: dict[str, list[str]] = {}
    for child, parent in rows(file, IMPLIES, "implications"):
        if child != parent and parent not in found.setdefault(child, []):
            found[child].append(parent)
    if not any(found.values()):
        raise PrepError(f"implications: {file} holds no active implication", "name a board's table of implications")
    return {child: tuple(parents) for child, parents in found.items() if parents}


def rows(file: Path, layouts: Sequence[tuple[str, ...]], what: str) -> Iterator[tuple[str, ...]]:
    """The columns of the first of `layouts` that a file has, of every line that is not retired.

    Args:
        what: what the file is for, as errors call it.
    Raises:
        PrepError: as told by `read_implications`.
    """
    reader = csv.DictReader(io.StringIO(_text(file, what), newline=""))
    has = reader.fieldnames or ()
    columns = next((each for each in layouts if set(each) <= set(has)), None)
    if columns is None:
        wanted = " or ".join(", ".join(each) for each in layouts)
        raise PrepError(
            f"{what}: {file} has the columns {', '.join(has) or 'of an empty file'}",
            f"name a CSV file with the columns {wanted}",
        )
    try:
        for row in reader:
            names = tuple(canonical(row[column] or "") for column in columns)
            if all(names) and (row.get("status") or _ACTIVE) == _ACTIVE:
                yield names
    except csv.Error as error:
        raise PrepError(f"{what}: {file}, line {reader.line_num}: {error}", "save it as CSV anew") from error


def _text(file: Path, what: str) -> str:
    try:
        content = read_limited(file, LARGEST_BYTES)
        if content[:2] == b"\x1f\x8b":
            with gzip.GzipFile(fileobj=io.BytesIO(content)) as unpacked:
                content = unpacked.read(LARGEST_BYTES + 1)
            if len(content) > LARGEST_BYTES:
                raise PrepError(f"{what}: {file} unpacks to over {LARGEST_BYTES >> 20} MiB", "name a smaller table")
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise PrepError(f"{what}: {file} is not UTF-8", "save it as UTF-8") from error
    except (OSError, EOFError, zlib.error) as error:
        raise PrepError(
            f"{what}: {file} cannot be read: {getattr(error, 'strerror', None) or error}",
            "name a board's table as a CSV file, which may be packed by gzip",
        ) from error
