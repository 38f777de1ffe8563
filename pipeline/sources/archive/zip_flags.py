"""Zips that call names UTF-8 which are not: read as if they did not say so, which Python's zipfile refuses to do."""

from __future__ import annotations

import io
from pathlib import Path

_END, _CENTRAL, _LOCAL = b"PK\x05\x06", b"PK\x01\x02", b"PK\x03\x04"
_UTF8 = 0x08
"""Bit 11 of the flags, in their second byte."""


class Overlaid(io.RawIOBase):
    """A file read with some bytes replaced, for zipfile to open."""

    def __init__(self, path: Path, bytes_at: dict[int, int]) -> None:
        self._file, self._bytes = path.open("rb"), bytes_at

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def seek(self, place: int, whence: int = io.SEEK_SET) -> int:
        return self._file.seek(place, whence)

    def tell(self) -> int:
        return self._file.tell()

    def readinto(self, buffer: object) -> int:
        view = memoryview(buffer)  # type: ignore[arg-type]
        start = self._file.tell()
        data = bytearray(self._file.read(len(view)))
        for place, value in self._bytes.items():
            if start <= place < start + len(data):
                data[place - start] = value
        view[: len(data)] = data
        return len(data)

    def close(self) -> None:
        self._file.close()
        super().close()


def without_false_flags(path: Path) -> Overlaid | None:
    """The zip with the flag taken off every name that is no UTF-8; None where its directory cannot be found (zip64 among
    them)."""
    with path.open("rb") as file:
        size = file.seek(0, io.SEEK_END)
        file.seek(max(0, size - 2**16 - 22))
        tail = file.read()
        end = tail.rfind(_END)
        if end < 0 or end + 22 > len(tail):
            return None
        length, offset = (int.from_bytes(tail[end + at : end + at + 4], "little") for at in (12, 16))
        if offset + length > size:
            return None
        file.seek(offset)
        directory = file.read(length)
    changed: dict[int, int] = {}
    place = 0
    while directory[place : place + 4] == _CENTRAL:
        flags = directory[place + 9]
        sizes = [int.from_bytes(directory[place + at : place + at + 2], "little") for at in (28, 30, 32)]
        name = directory[place + 46 : place + 46 + sizes[0]]
        if flags & _UTF8 and not _is_utf8(name):
            local = int.from_bytes(directory[place + 42 : place + 46], "little")
            changed |= {offset + place + 9: flags & ~_UTF8, local + 7: flags & ~_UTF8}
        place += 46 + sum(sizes)
    return Overlaid(path, changed) if changed else None


def _is_utf8(name: bytes) -> bool:
    try:
        name.decode()
    except UnicodeDecodeError:
        return False
    return True
