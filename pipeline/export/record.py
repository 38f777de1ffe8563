"""prep-export.json: what an export wrote into a folder, so that the next one knows its own files from a person's."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

from pipeline.core.errors import PrepError
from pipeline.core.files import write_text

FILE = "prep-export.json"
VERSION = 1


class FileEntry(NamedTuple):
    """A file that was written: what it was made from, its size, and its modification time in ns."""

    mark: str
    bytes: int
    modified: int


@dataclass(frozen=True, slots=True)
class Record:
    """What was written into a folder, and what a run that did not end was about to write (path → mark)."""

    layout: str
    root: str
    files: Mapping[str, FileEntry]
    pending: Mapping[str, str]


def read_record(folder: Path) -> Record | None:
    """The record of an earlier export, None where there is none.

    Raises:
        PrepError: the file is not one that prep wrote.
    """
    file = folder / FILE
    try:
        found = json.loads(file.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return None
    except (OSError, ValueError, RecursionError) as error:
        raise _foreign(file, str(error)) from error
    try:
        version, layout, root = found["prep_export"], found["layout"], found["set"]
        files = {
            path: FileEntry(str(mark), int(size), int(modified))
            for path, (mark, size, modified) in found["files"].items()
        }
        pending = {path: str(mark) for path, mark in found["pending"].items()}
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise _foreign(file, f"{type(error).__name__}: {error}") from error
    if version != VERSION:
        raise PrepError(
            f"{file} has format {version!r}, this prep reads {VERSION}", "update prep, or name another folder"
        )
    odd = next((path for path in (*files, *pending) if not is_inside(path)), None)
    if odd is not None:
        raise _foreign(file, f"it names {odd!r}, which is no path inside the folder")
    return Record(str(layout), str(root), files, pending)


def write_record(folder: Path, record: Record) -> None:
    document: dict[str, Any] = {
        "prep_export": VERSION,
        "layout": record.layout,
        "set": record.root,
        "files": dict(sorted(record.files.items())),
        "pending": dict(sorted(record.pending.items())),
    }
    write_text(folder / FILE, json.dumps(document, ensure_ascii=False, separators=(",", ":")) + "\n")


def is_inside(path: str) -> bool:
    """Whether a recorded path is relative, POSIX, and stays below the folder."""
    parts = path.split("/")
    return all(part not in ("", ".", "..") for part in parts) and not (os.name == "nt" and set(path) & set("\\:"))


def _foreign(file: Path, why: str) -> PrepError:
    return PrepError(f"{file} was not written by prep export: {why}", "name another folder, or move that file away")
