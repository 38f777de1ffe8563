"""What data files say of images: JSON beside one image, and tables of many."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from pipeline.sources.beside.metadata_files import Described, ImageTable, read_table
from pipeline.sources.beside.sidecars import Beside, is_sidecar, read_sidecar
from pipeline.sources.source_file import TABLE, Found
from pipeline.store.reasons.placement import PlacementReason as P
from pipeline.store.reasons.reason import Cause

NAMED = 8
"""Columns that are named one by one."""


@dataclass(slots=True)
class DataFiles:
    """What was read: `described` is image → what is said of it, `rows` are (path, what became of it) for every file."""

    described: dict[str, Described] = field(default_factory=dict)
    rows: list[tuple[str, Cause]] = field(default_factory=list)


def read_data_files(found: Sequence[Found], images: Collection[str], beside: Beside) -> DataFiles:
    """Read every data file; an image's own goes before a table. `images` are the paths of all images."""
    read = DataFiles()
    read.rows = list(_rows(read.described, found, images, beside))
    return read


def _rows(
    described: dict[str, Described], found: Sequence[Found], images: Collection[str], beside: Beside
) -> Iterator[tuple[str, Cause]]:
    tables = []
    for each in found:
        if each.kind != TABLE or each.problem:
            continue
        if is_sidecar(each, beside):
            yield each.path, _own_json(described, each, beside)
        else:
            tables.append(each)
    if tables:
        by_name = ImageTable(images)
        for each in tables:
            yield each.path, _table(described, each, by_name)


def _own_json(described: dict[str, Described], found: Found, beside: Beside) -> Cause:
    try:
        sidecar = read_sidecar(found)
    except ValueError as error:
        return Cause(P.JSON_NOT_USED, {"why": str(error)})
    row = sidecar.described
    says_something = bool(row.caption or row.concept or row.repeats is not None or row.name)
    for image in beside.owners(found) if says_something else ():
        described.setdefault(image, row)
    if sidecar.tags:
        return Cause(P.TAGS_IMPORTED, {"tags": len(sidecar.tags)})
    says = [name for name in ("caption", "concept", "repeats") if getattr(row, name)]
    return Cause(P.METADATA_IMPORTED, {"says": says}) if says else Cause(P.JSON_EMPTY)


def _table(described: dict[str, Described], found: Found, by_name: ImageTable) -> Cause:
    try:
        table = read_table(found.place, found.name)
    except ValueError as error:
        return Cause(P.METADATA_NOT_USED, {"why": str(error)})
    except OSError as error:
        return Cause(P.METADATA_NOT_USED, {"why": f"cannot be read: {error.strerror}"})
    used = 0
    for name, row in table.rows:
        image = by_name.find(name, found.path)
        if image is not None and image not in described:
            described[image] = row
        used += image is not None
    data: dict[str, Any] = {"used": used, "entries": len(table.rows) + len(table.problems)}
    data |= {"captions": [key for key, use in table.columns.used.items() if use == "caption"]}
    if table.columns.unknown:
        data["unknown"] = sorted(table.columns.unknown)[:NAMED]
    if not table.columns.used and table.rows:
        known = ", ".join(sorted(table.columns.unknown)[:NAMED]) or "none"
        return Cause(
            P.METADATA_NOT_USED, {"why": f"no column that is known, such as caption or text; its columns: {known}"}
        )
    if table.problems:
        data |= {"wrong": len(table.problems), "such_as": table.problems[0]}
    return Cause(P.METADATA_IMPORTED if used else P.METADATA_WITHOUT_IMAGE, data)
