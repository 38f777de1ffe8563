"""Files written whole or not at all, and distinguished by what they hold."""

from __future__ import annotations

import contextlib
import errno
import hashlib
import os
import secrets
import shutil
import stat
from collections.abc import Iterator
from pathlib import Path

from pipeline.core.disk_space import full_disk_told, refuse_full

HALF_WRITTEN = ".prep-*.tmp"
"""What the files are called that are not whole yet."""


@contextlib.contextmanager
def replacing(target: Path, needed: int = 0) -> Iterator[Path]:
    """Give a temporary path beside `target`; when the block ends well it replaces the target in one step.

    Every file that matters is written through here.

    Args:
        needed: bytes that will be written, where that is known and more than a few.
    Raises:
        PrepError: the disk has no room for it, or got full; what was at the target stays.
    """
    with full_disk_told(target):
        target.parent.mkdir(parents=True, exist_ok=True)
        if needed:
            refuse_full(target, needed)
        temporary = target.parent / HALF_WRITTEN.replace("*", secrets.token_hex(8))
        temporary.touch(exist_ok=False)  # as readable as any new file, which tempfile's are not
        try:
            yield temporary
            temporary.replace(target)
        finally:
            temporary.unlink(missing_ok=True)


@contextlib.contextmanager
def beside(target: Path) -> Iterator[Path]:
    """Give a temporary folder on the same disk as `target`, for files that become it; it goes when the block ends."""
    folder = target.parent / HALF_WRITTEN.replace("*", secrets.token_hex(8))
    folder.mkdir(parents=True)
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def write_text(target: Path, text: str) -> None:
    with replacing(target) as temporary:
        temporary.write_text(text, encoding="utf-8", newline="\n")


def write_bytes(target: Path, content: bytes) -> None:
    """Put a whole file in place in one step."""
    with replacing(target, len(content)) as temporary:
        temporary.write_bytes(content)


def read_limited(path: Path, limit: int) -> bytes:
    """The content of a file that a person named, which may be anything.

    Raises:
        OSError: it cannot be read, is no regular file (a device has no end), or holds more than `limit` bytes; `strerror`
            says which.
    """
    with path.open("rb") as stream:
        if not stat.S_ISREG(os.fstat(stream.fileno()).st_mode):
            raise OSError(errno.EINVAL, "not a regular file", str(path))
        content = stream.read(limit + 1)
    if len(content) > limit:
        raise OSError(errno.EFBIG, f"larger than {limit} bytes", str(path))
    return content


def expanded(path: str | Path) -> Path:
    """A path with ~ and ~USER as the home folder; one of no known user stays as it is written, and is not found."""
    try:
        return Path(path).expanduser()
    except RuntimeError:
        return Path(path)


def file_digest(path: Path) -> str:
    """SHA-256 of a file's bytes in hex."""
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def digest_if_readable(path: Path) -> str:
    """SHA-256 of a file's bytes in hex, "" for one that cannot be read."""
    try:
        return file_digest(path)
    except OSError:
        return ""


def same_content(one: Path, other: Path) -> bool:
    """Whether two paths hold the same bytes; False where one is not there."""
    if not (one.exists() and other.exists()):
        return False
    return one.samefile(other) or (
        one.stat().st_size == other.stat().st_size and file_digest(one) == file_digest(other)
    )
