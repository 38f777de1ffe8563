"""Images brought into the set without touching the original: cloned, linked or copied."""

from __future__ import annotations

import contextlib
import os
import shutil
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Literal

from pipeline.core.errors import PrepError
from pipeline.core.files import replacing, same_content

How = Literal["auto", "hardlink", "reflink", "copy", "symlink"]
AUTOMATIC = ("reflink", "copy")
CLONING = frozenset({"btrfs", "xfs", "apfs", "bcachefs", "zfs", "ocfs2"})
"""File systems that may share blocks between files."""
_FICLONE = 0x40049409
"""The Linux request that makes one file share another's blocks (ioctl_ficlonerange(2))."""
_HINTS = {
    "hardlink": "put the set on the disk that holds the sources, or choose --link copy",
    "reflink": "btrfs, XFS and APFS can share blocks inside one disk; elsewhere choose --link auto",
    "symlink": "on Windows switch the developer mode on, or choose --link auto",
    "copy": "make room on the disk and allow yourself to read the source",
}


def link_file(source: str | Path, target: Path, how: str = "auto", cannot: set[str] | None = None) -> str:
    """Bring a file to `target` and return how: reflink, hardlink, symlink or copy.

    `auto` takes a reflink where the file system can, which shares blocks until one side is changed, else a copy. Hard and
    symbolic links are the original itself: an editor that saves in place changes it, so they are made only where asked for.
    A link among the sources is followed first: what is linked is the file itself. A target that already is what was
    asked for stays. `cannot` remembers, from one file to the next between the same disks, what `auto` tried in vain.

    Raises:
        PrepError: the file system cannot do what was asked for by name.
    """
    real = os.path.realpath(source) if Path(source).is_symlink() else str(source)
    if there := _already(real, target, how):
        return there
    cannot = set() if cannot is None else cannot
    kinds = [kind for kind in AUTOMATIC if kind not in cannot] if how == "auto" else [how]
    reason = ""
    with replacing(target) as temporary:
        for kind in kinds:
            temporary.unlink(missing_ok=True)
            try:
                _MAKERS[kind](real, str(temporary))
            except OSError as error:
                if kind == "copy" or not Path(real).exists():
                    raise
                reason = error.strerror or str(error)
                cannot.add(kind)
            else:
                return kind
        raise PrepError(
            f"{source} cannot be brought to {target} as a {how} ({file_system(target)}): {reason}", _HINTS.get(how, "")
        )


def _already(real: str, target: Path, how: str) -> str:
    """How the target already is that file, "" when it has to be made."""
    if not target.exists():
        return ""
    if target.is_symlink():
        return "symlink" if target.samefile(real) and how == "symlink" else ""
    if target.samefile(real):
        return "hardlink" if how == "hardlink" else ""
    return "copy" if how in ("auto", "copy") and same_content(target, Path(real)) else ""


def shares_blocks(folder: Path) -> bool:
    """Whether a folder lies on a file system that may share blocks between files, so that a copy takes no room."""
    return file_system(folder).rpartition(" ")[2] in CLONING


def _reflink(source: str, target: str) -> None:
    if sys.platform == "linux":
        import fcntl

        with Path(source).open("rb") as reading, Path(target).open("wb") as writing:
            fcntl.ioctl(writing.fileno(), _FICLONE, reading.fileno())
    elif sys.platform == "darwin":
        import ctypes

        clonefile = ctypes.CDLL(None, use_errno=True).clonefile
        if clonefile(os.fsencode(source), os.fsencode(target), 0):
            raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()), source)
    else:
        raise OSError(0, "this system has no way to ask for it", source)


_MAKERS: dict[str, Callable[[str, str], object]] = {
    "reflink": _reflink,
    "hardlink": lambda source, target: os.link(source, target),
    "symlink": lambda source, target: Path(target).symlink_to(os.path.realpath(source)),
    "copy": lambda source, target: shutil.copyfile(source, target),
}


def file_system(path: Path) -> str:
    """The kind of file system that a path lies on, in words: `file system ext4`."""
    place = os.path.realpath(path)
    with contextlib.suppress(OSError):
        mounts = [(where, kind) for where, kind in _mounts() if (place + "/").startswith(where.rstrip("/") + "/")]
        if mounts:
            return f"file system {max(mounts, key=lambda mount: len(mount[0]))[1]}"
    return "this file system"


def _mounts() -> Iterator[tuple[str, str]]:
    for line in Path("/proc/self/mounts").read_text(encoding="utf-8", errors="replace").splitlines():
        _, where, kind, *_ = line.split(" ")
        yield where.replace("\\040", " "), kind
