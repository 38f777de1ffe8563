"""Files written whole or not at all, and pictures brought in without touching the original."""

from __future__ import annotations

import contextlib
import hashlib
import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path


@contextlib.contextmanager
def replacing(target: Path) -> Iterator[Path]:
    """Give a temporary path beside `target`; when the block ends well it replaces the target in one step."""
    target.parent.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(dir=target.parent, prefix=".prep-", suffix=".tmp")
    os.close(handle)
    temporary = Path(name)
    try:
        yield temporary
        temporary.replace(target)
    finally:
        temporary.unlink(missing_ok=True)


def write_text(target: Path, text: str) -> None:
    with replacing(target) as temporary:
        temporary.write_text(text, encoding="utf-8", newline="\n")


def link_file(source: str | Path, target: Path) -> str:
    """Hard link, or copy where the file system cannot; a target that is already that file stays. Returns which."""
    source = Path(source)
    if target.exists() and target.samefile(source):
        return "hardlink"
    if target.exists() and same_content(target, source):
        return "copy"
    with replacing(target) as temporary:
        temporary.unlink()
        try:
            os.link(source, temporary)
            return "hardlink"
        except OSError:
            shutil.copyfile(source, temporary)
            return "copy"


def file_digest(path: Path) -> str:
    """SHA-256 of a file's bytes in hex."""
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def same_content(one: Path, other: Path) -> bool:
    """Whether two paths hold the same bytes; False where one is not there."""
    if not (one.exists() and other.exists()):
        return False
    return one.samefile(other) or (
        one.stat().st_size == other.stat().st_size and file_digest(one) == file_digest(other)
    )
