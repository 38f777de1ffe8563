"""Unpacking one archive: numbered files, and for every entry a row that says what became of it.

An entry's own name never becomes a name on disk. Limits: one entry may unpack to 1 GiB, an archive as a whole to 100 times
its size (but at least 1 GiB); bytes are counted as they come, as the sizes that an archive states may lie.
"""

from __future__ import annotations

import functools
import gzip
import io
import os
import stat
import tarfile
import zipfile
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from pipeline.core.errors import PrepError
from pipeline.core.files import replacing
from pipeline.sources.archive.entry_names import checked, zip_names
from pipeline.sources.archive.tar_headers import BoundedTarInfo
from pipeline.sources.archive.zip_flags import Overlaid, without_false_flags
from pipeline.sources.auxiliary import is_housekeeping
from pipeline.sources.source_file import HEADER_BYTES, IMAGE, UNKNOWN, extension_of, image_extension, is_meta, kind_of
from pipeline.store.reasons.placement import PlacementReason as P
from pipeline.store.reasons.reason import Cause

ProgressCallback = Callable[[str, int, int], None]
ENTRY_BYTES = 2**30
WHOLE_BYTES = 2**30
WHOLE_RATIO = 100
_CHUNK = 2**20
_DAMAGE = (
    *(zipfile.BadZipFile, zlib.error, EOFError, tarfile.TarError),
    *(OSError, NotImplementedError, RuntimeError, UnicodeDecodeError),
)


@dataclass(slots=True)
class Entry:
    """One entry of an archive. `file` is the number it was unpacked as; the other fields as in `Found`."""

    name: str
    kind: str = ""
    bytes: int = 0
    extension: str = ""
    problem: Cause | None = None
    file: str = ""


class _Full(Exception):
    """An entry or the whole archive unpacks to more than it may."""


class Unpacking:
    """One archive being unpacked. What an earlier run unpacked stays, as every file is written whole or not at all."""

    def __init__(
        self, archive: Path, folder: Path, known_as: str, progress: ProgressCallback, zip_encoding: str = "auto"
    ) -> None:
        self.archive, self.folder, self.known_as, self.progress = archive, folder, known_as, progress
        self.zip_encoding = zip_encoding
        self.size, self.modified = archive.stat().st_size, archive.stat().st_mtime_ns
        self.left = max(WHOLE_BYTES, WHOLE_RATIO * self.size)
        self.limit = f"{self.left // 2**20} MiB"
        self.entries: list[Entry] = []
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
        self.entries.append(Entry("", problem=Cause(P.ARCHIVE_PARTIAL, {"why": why})))

    def _zip(self) -> None:
        with self._opened_zip() as archive:
            listed = archive.infolist()
            mended = isinstance(archive.fp, Overlaid)
            reading = zip_names(listed, self.zip_encoding, self.known_as, mended)
            if reading.encoding:
                example = next(name for name in reading.names if not name.isascii())
                data = {"encoding": reading.encoding, "such_as": example}
                self.entries.append(Entry("", problem=Cause(P.ARCHIVE_NAMES, data)))
            for number, info in enumerate(listed):
                if info.is_dir():
                    continue
                entry = self._entry(reading.names[number])
                mode = info.external_attr >> 16
                if not entry.problem and mode and not _is_regular(mode):
                    entry.problem = Cause(P.ENTRY_SPECIAL)
                if not entry.problem and info.flag_bits & 0x1:
                    entry.problem = Cause(P.ENTRY_ENCRYPTED)
                if not entry.problem:
                    self._take(entry, number, functools.partial(archive.open, info))
                self.progress(f"unpacking {self.archive.name}", number + 1, len(listed))

    def _opened_zip(self) -> zipfile.ZipFile:
        try:
            return zipfile.ZipFile(self.archive)
        except UnicodeDecodeError:
            mended = without_false_flags(self.archive)
            if mended is None:
                raise
            return zipfile.ZipFile(mended)

    def _tar(self) -> None:
        with self.archive.open("rb") as raw:
            packed = raw.read(2) == b"\x1f\x8b"
            raw.seek(0)
            plain: IO[bytes] = gzip.GzipFile(fileobj=raw) if packed else raw  # type: ignore[assignment]
            counted = io.BufferedReader(_Counted(plain, self.left if packed else self.size + 1), _CHUNK)
            with tarfile.open(fileobj=counted, mode="r|", tarinfo=BoundedTarInfo) as archive:
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

    def _entry(self, name: str) -> Entry:
        """An entry by its name: normal, or with the reason why it is left out."""
        entry = Entry(*checked(name))
        self.entries.append(entry)
        if not entry.problem:
            entry.kind, entry.problem = kind_of(entry.name.rpartition("/")[2])
        folders, name = entry.name.split("/")[:-1], entry.name.rpartition("/")[2]
        hidden = any(part.startswith(".") or is_housekeeping(part) for part in folders)
        if not entry.problem and (hidden or (name.startswith(".") and not is_meta(name))):
            entry.problem = Cause(P.HIDDEN)
        if not entry.problem and entry.name in self.names:
            entry.problem = Cause(P.ENTRY_REPEATED)
        self.names.add(entry.name)
        entry.kind = "" if entry.problem else entry.kind
        return entry

    def _take(self, entry: Entry, number: int, open_entry: Callable[[], IO[bytes] | None]) -> None:
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

    def _write(self, entry: Entry, target: Path, open_entry: Callable[[], IO[bytes] | None]) -> None:
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


def _is_regular(mode: int) -> bool:
    return not stat.S_IFMT(mode) or stat.S_ISREG(mode)
