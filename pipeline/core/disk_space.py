"""Room on a disk, looked at before something is written there."""

from __future__ import annotations

import shutil
from pathlib import Path

from pipeline.core.errors import PrepError
from pipeline.core.humanize import in_words


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
            "make room on the disk and run the same again; what is finished is kept",
        )


def size_of(path: Path) -> int:
    """Bytes of a file, or of all files in a folder."""
    files = [path] if path.is_file() else [each for each in path.rglob("*") if each.is_file()]
    return sum(each.stat().st_size for each in files)
