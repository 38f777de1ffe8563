"""Room on a disk, looked at before something is written there."""

from __future__ import annotations

import contextlib
import errno
import shutil
from collections.abc import Iterator
from pathlib import Path

from pipeline.core.errors import PrepError
from pipeline.core.humanize import in_words

FULL = frozenset({errno.ENOSPC, errno.EFBIG, getattr(errno, "EDQUOT", errno.ENOSPC)})
"""What a system says where a file does not fit: on the disk, under the limit on a file's size, into the user's quota."""
HINT = "make room on the disk and run the same again; what is finished is kept"


def free_bytes(path: Path) -> int:
    """What is free on the disk of a path, of which only some parent need exist."""
    return shutil.disk_usage(next(each for each in (path, *path.absolute().parents) if each.exists())).free


def refuse_full(path: Path, needed: int, what: str = "") -> None:
    """See that so many bytes fit on the disk of a path.

    Args:
        what: what they are for, instead of the file.
    Raises:
        PrepError: they do not.
    """
    free = free_bytes(path)
    if needed > free:
        raise PrepError(
            f"{what or path} needs {in_words(needed)} on the disk of {path}, which has {in_words(free)} free",
            HINT,
        )


@contextlib.contextmanager
def full_disk_told(target: Path) -> Iterator[None]:
    """Say which file did not fit where a disk gets full in the block.

    Raises:
        PrepError: it did; any other failure comes through as it is.
    """
    try:
        yield
    except OSError as error:
        if error.errno not in FULL:
            raise
        raise PrepError(
            f"{target} could not be written: {error.strerror or error}; {in_words(free_bytes(target))} are free there",
            HINT,
        ) from error


def size_of(path: Path) -> int:
    """Bytes of a file, or of all files in a folder."""
    files = [path] if path.is_file() else [each for each in path.rglob("*") if each.is_file()]
    return sum(each.stat().st_size for each in files)
