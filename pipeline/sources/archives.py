"""Archives as sources: zip and tar files, unpacked once into the set's cache and read like a folder from there.

An entry's own name never becomes a name on disk: unpacked files are numbered, and `index.json` says what each was called,
so that no entry can be written anywhere else. What is not wanted or not sound is a row with its reason. Limits: one entry
may unpack to 1 GiB, an archive as a whole to 100 times its size (but at least 1 GiB); bytes are counted as they come, as
the sizes that an archive states may lie.
"""

from __future__ import annotations

import functools
import gzip
import hashlib
import io
import json
import os
import re
import shutil
import stat
import tarfile
import zipfile
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from pipeline.core.errors import PrepError
from pipeline.core.files import replacing, write_text
from pipeline.sources.source_file import (
    ARCHIVES,
    HEADER_BYTES,
    IMAGE,
    INSIDE,
    UNKNOWN,
    Found,
    concept_at,
    cut,
    extension_of,
    image_extension,
    is_utf8,
    kind_of,
    printable,
)
from pipeline.store.reasons.placement import PlacementReason as P
from pipeline.store.reasons.reason import Cause

ProgressCallback = Callable[[str, int, int], None]
ENTRY_BYTES = 2**30
WHOLE_BYTES = 2**30
WHOLE_RATIO = 100
INDEX = "index.json"
_CHUNK = 2**20
_DAMAGE = (zipfile.BadZipFile, zlib.error, EOFError, tarfile.TarError, OSError, NotImplementedError, RuntimeError)
_JAPANESE = re.compile(r"[\x00-\x7f\u3000-\u30ff\u3400-\u9fff\uff00-\uffef]*")
_KANA_OR_KANJI = re.compile(r"[\u3041-\u30ff\u3400-\u9fff]")


@dataclass(slots=True)
class _Entry:
    """One entry of an archive. `file` is the number it was unpacked as; the other fields as in `Found`."""

    name: str
    kind: str = ""
    bytes: int = 0
    extension: str = ""
    problem: Cause | None = None
    file: str = ""


class _Full(Exception):
    """An entry or the whole archive unpacks to more than it may."""


def is_archive(path: Path) -> bool:
    """Whether a file is an archive that is read, by what it holds."""
    try:
        with path.open("rb") as stream:
            head = stream.read(2)
        return head == b"\x1f\x8b" or zipfile.is_zipfile(path) or tarfile.is_tarfile(path)
    except (OSError, EOFError, tarfile.TarError):
        return False


def state(archive: Path) -> str:
    """What changes when the archive does."""
    status = archive.stat()
    return f"{status.st_size} {status.st_mtime_ns}"


def entries(
    archive: Path, cache: Path, known_as: str = "", progress: ProgressCallback = lambda *_: None
) -> Iterator[Found]:
    """Everything in an archive, unpacked into `cache` unless it lies there already.

    Args:
        archive: the file on disk.
        cache: the folder for unpacked archives.
        known_as: what the archive is called in the record; its path if not given.
    Raises:
        PrepError: it cannot be opened at all.
    """
    folder, known_as = _folder(archive, cache), known_as or str(archive)
    modified = archive.stat().st_mtime_ns
    seen: set[str] = set()
    for number, entry in enumerate(_unpacked(archive, folder, known_as, progress)):
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


def _folder(archive: Path, cache: Path) -> Path:
    """Where an archive is unpacked: one name for its path, one for its state."""
    names = [hashlib.sha256(text.encode()).hexdigest()[:16] for text in (str(archive), state(archive))]
    return cache.absolute() / "-".join(names)


def _unpacked(archive: Path, folder: Path, known_as: str, progress: ProgressCallback) -> list[_Entry]:
    """The entries of an archive, from its index, or by unpacking what is not there yet."""
    before = _index(folder)
    if before is not None and all(_is_whole(folder, entry, archive) for entry in before):
        return before
    (folder / INDEX).unlink(missing_ok=True)
    for entry in before or ():
        if entry.file and not _is_whole(folder, entry, archive):
            (folder / entry.file).unlink(missing_ok=True)
    folder.mkdir(parents=True, exist_ok=True)
    unpacking = _Unpacking(archive, folder, known_as, progress)
    unpacking.run()
    rows = [[e.name, e.kind, e.bytes, e.extension, e.problem, e.file] for e in unpacking.entries]
    write_text(folder / INDEX, json.dumps(rows, ensure_ascii=False))
    for old in folder.parent.glob(folder.name.partition("-")[0] + "-*"):
        if old != folder:
            shutil.rmtree(old, ignore_errors=True)
    return unpacking.entries


def _index(folder: Path) -> list[_Entry] | None:
    try:
        rows = json.loads((folder / INDEX).read_text(encoding="utf-8"))
        return [_Entry(name, kind, size, end, _problem(problem), file) for name, kind, size, end, problem, file in rows]
    except (OSError, ValueError, TypeError):
        return None


def _problem(row: tuple[str, dict[str, str]] | None) -> Cause | None:
    """What stands in an index as [code, data]."""
    if row is None:
        return None
    code, data = row
    return Cause(P(code), data)


def _is_whole(folder: Path, entry: _Entry, archive: Path) -> bool:
    """Whether an unpacked file is as it was unpacked: one that is linked into the set may have been edited there."""
    if not entry.file:
        return True
    try:
        status = (folder / entry.file).stat()
    except OSError:
        return False
    return status.st_size == entry.bytes and abs(status.st_mtime_ns - archive.stat().st_mtime_ns) < 2_000_000_000


class _Unpacking:
    """One archive being unpacked. What an earlier run unpacked stays, as every file is written whole or not at all."""

    def __init__(self, archive: Path, folder: Path, known_as: str, progress: ProgressCallback) -> None:
        self.archive, self.folder, self.known_as, self.progress = archive, folder, known_as, progress
        self.size, self.modified = archive.stat().st_size, archive.stat().st_mtime_ns
        self.left = max(WHOLE_BYTES, WHOLE_RATIO * self.size)
        self.limit = f"{self.left // 2**20} MiB"
        self.entries: list[_Entry] = []
        self.names: set[str] = set()

    def run(self) -> None:
        try:
            if zipfile.is_zipfile(self.archive):
                self._zip()
            else:
                self._tar()
        except _Full:
            self._stopped(f"it unpacks to more than {self.limit}")
        except PermissionError as error:
            raise PrepError(f"{self.archive} cannot be read: {error.strerror}", "allow yourself to read it") from error
        except _DAMAGE as error:
            if not self.entries:
                raise PrepError(
                    f"{self.known_as} cannot be opened: {error or type(error).__name__}",
                    "fetch or pack it again; .zip, .tar and .tar.gz are read",
                ) from error
            self._stopped(f"it is damaged: {error or type(error).__name__}")

    def _stopped(self, why: str) -> None:
        self.entries.append(_Entry("", problem=Cause(P.ARCHIVE_PARTIAL, {"why": why})))

    def _zip(self) -> None:
        with zipfile.ZipFile(self.archive) as archive:
            listed = archive.infolist()
            for number, info in enumerate(listed):
                if info.is_dir():
                    continue
                entry = self._entry(_zip_name(info))
                mode = info.external_attr >> 16
                if not entry.problem and mode and not _is_regular(mode):
                    entry.problem = Cause(P.ENTRY_SPECIAL)
                if not entry.problem and info.flag_bits & 0x1:
                    entry.problem = Cause(P.ENTRY_ENCRYPTED)
                if not entry.problem:
                    self._take(entry, number, functools.partial(archive.open, info))
                self.progress(f"unpacking {self.archive.name}", number + 1, len(listed))

    def _tar(self) -> None:
        with self.archive.open("rb") as raw:
            packed = raw.read(2) == b"\x1f\x8b"
            raw.seek(0)
            plain: IO[bytes] = gzip.GzipFile(fileobj=raw) if packed else raw  # type: ignore[assignment]
            counted = io.BufferedReader(_Counted(plain, self.left if packed else self.size + 1), _CHUNK)
            with tarfile.open(fileobj=counted, mode="r|") as archive:
                for number, member in enumerate(archive):
                    archive.members.clear()  # type: ignore[attr-defined]  # a long archive would keep every header
                    if member.isdir():
                        continue
                    entry = self._entry(member.name)
                    if not entry.problem and not member.isreg():
                        entry.problem = Cause(P.ENTRY_SPECIAL)
                    if not entry.problem:
                        self._take(entry, number, functools.partial(archive.extractfile, member))
                    self.progress(f"unpacking {self.archive.name}", min(raw.tell(), self.size), self.size)

    def _entry(self, name: str) -> _Entry:
        """An entry by its name: normal, or with the reason why it is left out."""
        entry = _Entry(*_checked(name))
        self.entries.append(entry)
        if not entry.problem:
            entry.kind, entry.problem = kind_of(entry.name.rpartition("/")[2])
        if not entry.problem and any(part.startswith(".") or part == "__MACOSX" for part in entry.name.split("/")):
            entry.problem = Cause(P.HIDDEN)
        if not entry.problem and entry.name in self.names:
            entry.problem = Cause(P.ENTRY_REPEATED)
        self.names.add(entry.name)
        entry.kind = "" if entry.problem else entry.kind
        return entry

    def _take(self, entry: _Entry, number: int, open_entry: Callable[[], IO[bytes] | None]) -> None:
        """Unpack one entry, counting; a damaged one is a row and the others go on."""
        suffix = extension_of(entry.name).lower() if entry.kind != UNKNOWN else ""
        target = self.folder / f"{number:06d}{suffix}"
        try:
            if target.exists():
                entry.bytes, entry.file = target.stat().st_size, target.name
                self.left -= entry.bytes
            else:
                self._write(entry, target, open_entry)
        except _Full:
            entry.kind, entry.file = "", ""
            if self.left <= 0:
                entry.problem = Cause(P.ARCHIVE_TOO_LARGE, {"limit": self.limit})
                raise
            entry.problem = Cause(P.ENTRY_TOO_LARGE, {"mebibytes": ENTRY_BYTES // 2**20})
        except _DAMAGE as error:
            if isinstance(error, OSError) and error.errno is not None:
                raise
            entry.kind, entry.file = "", ""
            entry.problem = Cause(P.ENTRY_DAMAGED, {"why": str(error) or type(error).__name__})
            if isinstance(error, tarfile.TarError | EOFError) and not zipfile.is_zipfile(self.archive):
                raise
        if self.left <= 0:
            raise _Full

    def _write(self, entry: _Entry, target: Path, open_entry: Callable[[], IO[bytes] | None]) -> None:
        stream = open_entry()
        if stream is None:
            raise tarfile.ReadError("it has no content")
        with stream:
            chunk = stream.read(_CHUNK)
            if entry.kind == UNKNOWN:
                entry.extension = image_extension(chunk[:HEADER_BYTES])
                entry.kind = IMAGE if entry.extension else ""
                entry.problem = None if entry.extension else Cause(P.NOT_AN_IMAGE)
                if not entry.extension:
                    return
            with replacing(target) as temporary:
                with temporary.open("wb") as out:
                    while chunk:
                        entry.bytes += len(chunk)
                        self.left -= len(chunk)
                        if entry.bytes > ENTRY_BYTES or self.left <= 0:
                            raise _Full
                        out.write(chunk)
                        chunk = stream.read(_CHUNK)
                os.utime(temporary, ns=(self.modified, self.modified))
        entry.file = target.name


class _Counted(io.RawIOBase):
    """A stream that gives no more than a number of bytes, whatever the archive says of its size."""

    def __init__(self, stream: IO[bytes], limit: int) -> None:
        self.stream, self.left = stream, limit

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: object) -> int:
        view = memoryview(buffer)  # type: ignore[arg-type]
        data = self.stream.read(len(view))
        self.left -= len(data)
        if self.left < 0:
            raise _Full
        view[: len(data)] = data
        return len(data)


def _checked(name: str) -> tuple[str, str, int, str, Cause | None]:
    """An entry's name without empty and `.` parts, with the reason where it cannot be used."""
    parts = [part for part in name.split("/") if part not in ("", ".")]
    plain = printable("/".join(parts))
    problem = None
    if not is_utf8(name):
        problem = Cause(P.NAME_NOT_UTF8)
    elif "\\" in name:
        problem = Cause(P.ENTRY_BACKSLASH)
    elif name.startswith("/") or ".." in parts or name[1:2] == ":" or "\0" in name or not parts:
        problem = Cause(P.ENTRY_LEADS_OUT)
    return plain if not problem else printable(name) or "(no name)", "", 0, "", problem


def _zip_name(info: zipfile.ZipInfo) -> str:
    """An entry's name. Where the zip does not say that it is UTF-8 it may be all the same, or Japanese (cp932)."""
    if info.flag_bits & 0x800:
        return info.orig_filename
    try:
        raw = info.orig_filename.encode("cp437")
    except UnicodeEncodeError:
        return info.orig_filename
    for encoding in ("utf-8", "cp932"):
        try:
            name = raw.decode(encoding)
        except UnicodeDecodeError:
            continue
        if encoding == "utf-8" or (_JAPANESE.fullmatch(name) and _KANA_OR_KANJI.search(name)):
            return name
    return info.orig_filename


def _is_regular(mode: int) -> bool:
    return not stat.S_IFMT(mode) or stat.S_ISREG(mode)
