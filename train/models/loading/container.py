"""What a file is by its first bytes, whatever its name says; no torch here."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

Container = Literal["safetensors", "pickle", "pointer", "page", "unknown"]
LARGEST = 100_000_000
"""Bytes above which the header of a safetensors file is none."""
POINTER = b"version https://git-lfs.github.com/spec/"
PICKLE = (b"PK\x03\x04", *(bytes((0x80, protocol)) for protocol in range(2, 6)))
"""How torch's archives and plain pickles begin."""
PAGE = (b"<!doctype", b"<html", b"<?xml")


def container_of(file: Path) -> Container:
    """`pointer` stands for Git LFS' stand-in for a file that was not fetched, `page` for a web page that was saved.

    Raises:
        OSError: the file cannot be read.
    """
    with file.open("rb") as stream:
        start = stream.read(64)
    length = int.from_bytes(start[:8], "little")
    if start[8:9] == b"{" and 2 <= length <= LARGEST:
        return "safetensors"
    if start.startswith(PICKLE):
        return "pickle"
    if start.startswith(POINTER):
        return "pointer"
    return "page" if start.lstrip().lower().startswith(PAGE) else "unknown"
