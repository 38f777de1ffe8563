"""Archives as sources: zip and tar files, unpacked once into the set's cache and read like a folder from there.

Unpacked files are numbered, and `index.json` says what each was called, so that no entry can be written anywhere else.
What is not wanted or not sound is a row with its reason.
"""

from __future__ import annotations

import hashlib
import json
import shutil
import zipfile
from collections.abc import Iterator
from pathlib import Path

from pipeline.core.files import write_text
from pipeline.sources.archive.tar_headers import is_tar
from pipeline.sources.archive.unpacking import Entry, ProgressCallback, Unpacking
from pipeline.sources.source_file import ARCHIVES, INSIDE, Found, concept_at, cut
from pipeline.store.reasons.placement import PlacementReason as P
from pipeline.store.reasons.reason import Cause

INDEX = "index.json"


def is_archive(path: Path) -> bool:
    """Whether a file is an archive that is read, by what it holds."""
    try:
        with path.open("rb") as stream:
            head = stream.read(2)
        return head == b"\x1f\x8b" or zipfile.is_zipfile(path) or is_tar(path)
    except OSError:
        return False


def state(archive: Path) -> str:
    """What changes when the archive does."""
    status = archive.stat()
    return f"{status.st_size} {status.st_mtime_ns}"


def entries(
    archive: Path,
    cache: Path,
    known_as: str = "",
    progress: ProgressCallback = lambda *_: None,
    zip_encoding: str = "auto",
) -> Iterator[Found]:
    """Everything in an archive, unpacked into `cache` unless it lies there already.

    Args:
        archive: the file on disk.
        cache: the folder for unpacked archives.
        known_as: what the archive is called in the record; its path if not given.
        zip_encoding: the code page of a zip's names that are not called UTF-8; auto chooses one.
    Raises:
        PrepError: it cannot be opened at all.
    """
    folder, known_as = _folder(archive, cache, zip_encoding), known_as or str(archive)
    modified = archive.stat().st_mtime_ns
    seen: set[str] = set()
    for number, entry in enumerate(_unpacked(archive, folder, known_as, progress, zip_encoding)):
        path = f"{known_as}{INSIDE}{entry.name}" if entry.name else known_as
        if path in seen:
            path = f"{path} (entry {number + 1})"
        seen.add(path)
        parts = tuple(entry.name.split("/")[:-1])
        yield Found(
            path,
            concept_at(parts, _stem(cut(known_as)[1])),
            entry.kind,
            entry.bytes,
            modified,
            entry.extension,
            entry.problem,
            str(folder / entry.file) if entry.file else "",
        )


def _stem(name: str) -> str:
    suffix = next((suffix for suffix in sorted(ARCHIVES, key=len, reverse=True) if name.lower().endswith(suffix)), "")
    return name[: len(name) - len(suffix)] or name


def _folder(archive: Path, cache: Path, zip_encoding: str) -> Path:
    """Where an archive is unpacked: one name for its path, one for its state and how its names are read."""
    read = state(archive) + ("" if zip_encoding == "auto" else f" {zip_encoding}")
    names = [hashlib.sha256(text.encode()).hexdigest()[:16] for text in (str(archive), read)]
    return cache.absolute() / "-".join(names)


def _unpacked(archive: Path, folder: Path, known_as: str, progress: ProgressCallback, zip_encoding: str) -> list[Entry]:
    """The entries of an archive, from its index, or by unpacking what is not there yet."""
    before = _index(folder)
    if before is not None and all(_is_whole(folder, entry, archive) for entry in before):
        return before
    (folder / INDEX).unlink(missing_ok=True)
    for entry in before or ():
        if entry.file and not _is_whole(folder, entry, archive):
            (folder / entry.file).unlink(missing_ok=True)
    folder.mkdir(parents=True, exist_ok=True)
    unpacking = Unpacking(archive, folder, known_as, progress, zip_encoding)
    unpacking.run()
    rows = [[e.name, e.kind, e.bytes, e.extension, e.problem, e.file] for e in unpacking.entries]
    write_text(folder / INDEX, json.dumps(rows, ensure_ascii=False))
    for old in folder.parent.glob(folder.name.partition("-")[0] + "-*"):
        if old != folder:
            shutil.rmtree(old, ignore_errors=True)
    return unpacking.entries


def _index(folder: Path) -> list[Entry] | None:
    try:
        rows = json.loads((folder / INDEX).read_text(encoding="utf-8"))
        return [Entry(name, kind, size, end, _problem(problem), file) for name, kind, size, end, problem, file in rows]
    except (OSError, ValueError, TypeError):
        return None


def _problem(row: tuple[str, dict[str, str]] | None) -> Cause | None:
    """What stands in an index as [code, data]."""
    if row is None:
        return None
    code, data = row
    return Cause(P(code), data)


def _is_whole(folder: Path, entry: Entry, archive: Path) -> bool:
    """Whether an unpacked file is as it was unpacked: one that is linked into the set may have been edited there."""
    if not entry.file:
        return True
    try:
        status = (folder / entry.file).stat()
    except OSError:
        return False
    return status.st_size == entry.bytes and abs(status.st_mtime_ns - archive.stat().st_mtime_ns) < 2_000_000_000
