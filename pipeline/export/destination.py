"""The folder that is exported to: one that prep may fill, and that is neither in the set nor in its sources."""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path

from pipeline.core.errors import PrepError
from pipeline.export.changes import is_half_written
from pipeline.export.record import FILE, Record, read_record
from pipeline.store.tables.schema import FILE as MANIFEST


def destination(root: Path, folder: Path, layout: str, sources: Iterable[str]) -> Record:
    """The record of what prep wrote there before, an empty one for a new folder.

    Raises:
        PrepError: the folder is a file, holds a person's files, another export, or lies where the set is made from.
    """
    try:
        str(folder).encode()
    except UnicodeEncodeError:
        raise PrepError(f"the name of {folder} is not UTF-8", "name another folder") from None
    if folder.exists() and not folder.is_dir():
        raise PrepError(f"{folder} is a file", "name a folder that is empty or not there yet")
    _outside(root, folder, "the set")
    for source in sources:
        if "://" not in source:
            _outside(Path(source), folder, "a source of the set")
    before = read_record(folder)
    if before is None:
        if folder.exists() and not all(is_half_written(file.name) for file in folder.iterdir()):
            raise PrepError(
                f"{folder} holds files that prep export did not write", "name a folder that is empty or not there yet"
            )
        return Record(layout, str(root), {}, {})
    if before.layout != layout:
        raise PrepError(f"{folder} holds an export of layout {before.layout}", f"name another folder for {layout}")
    if before.root != str(root) and (Path(before.root) / MANIFEST).exists():
        raise PrepError(
            f"{folder} holds an export of another set, {before.root}", f"name another folder, or take away its {FILE}"
        )
    return Record(layout, str(root), before.files, before.pending)


def _outside(place: Path, folder: Path, what: str) -> None:
    inside = Path(os.path.realpath(folder)).is_relative_to(os.path.realpath(place))
    if inside:
        raise PrepError(f"{folder} lies in {what}, {place}", "name a folder outside of it")
