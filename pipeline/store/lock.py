"""One command at a time on a set: the second is told who holds it."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import socket
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path

from pipeline.core.errors import PrepError
from pipeline.core.files import HALF_WRITTEN, write_text
from pipeline.store.caption_files import take_in
from pipeline.store.manifest import FILE, Manifest

LOCK = ".prep-lock"
HOLDER = ".prep-holder.json"


@contextlib.contextmanager
def holding(root: Path, command: str) -> Iterator[None]:
    """Hold the set for a command; the system lets go of it when the process ends, however it ends.

    Raises:
        PrepError: another process holds it; the message says which, and since when.
    """
    import filelock

    root.mkdir(parents=True, exist_ok=True)
    lock = filelock.FileLock(root / LOCK, timeout=0)
    try:
        lock.acquire()
    except filelock.Timeout:
        raise PrepError(f"{_holder(root)} is at work on {root}", "wait for it to end, or stop it") from None
    except NotImplementedError as error:
        raise PrepError(f"the disk of {root} cannot lock files", "put the set on a local disk") from error
    try:
        if (root / HOLDER).exists():
            sweep(root)
        write_text(root / HOLDER, json.dumps(_myself(command)) + "\n")
        yield
    finally:
        with contextlib.suppress(OSError):  # the work is done, and a holder's name left behind is only swept over
            (root / HOLDER).unlink(missing_ok=True)
        lock.release()


@contextlib.contextmanager
def opened(root: Path, command: str, create: bool = False, dry_run: bool = False) -> Iterator[Manifest]:
    """The record of a set for a command that writes to it, held for it alone; a preview makes no set where there is none."""
    if not (root / FILE).exists() and (dry_run or not create):
        with Manifest.preview(root) if create else Manifest.open(root) as manifest:
            yield manifest
        return
    if root.exists() and not root.is_dir():
        Manifest.open(root, create=True)
    with holding(root, command), Manifest.open(root, create=create) as manifest:
        yield manifest


@contextlib.contextmanager
def looking(root: Path) -> Iterator[Manifest]:
    """The record of a set to read, with captions that were edited meanwhile unless another prep is at work."""
    with Manifest.open(root) as manifest:
        if not is_held(root):
            take_in(manifest)
        yield manifest


def is_held(root: Path) -> bool:
    """Whether some process is at work on the set now."""
    import filelock

    lock = filelock.FileLock(root / LOCK, timeout=0)
    try:
        with lock:
            return False
    except filelock.Timeout:
        return True


def sweep(root: Path) -> None:
    """Take away the half-written files of a process that was killed: nobody else can be writing now."""
    for folder in ("", "images", "regularization", "reports", "runs", "cache"):
        files = (root / folder).rglob(HALF_WRITTEN) if folder else root.glob(HALF_WRITTEN)
        for file in list(files):
            if file.is_dir() and not file.is_symlink():
                shutil.rmtree(file, ignore_errors=True)
            else:
                file.unlink(missing_ok=True)


def _myself(command: str) -> dict[str, object]:
    started = datetime.now().astimezone().isoformat(timespec="seconds")
    return {"command": command, "process": os.getpid(), "host": socket.gethostname(), "started": started}


def _holder(root: Path) -> str:
    """Who holds the set, in words, as far as it can be known."""
    try:
        held = json.loads((root / HOLDER).read_text(encoding="utf-8"))
        since = str(held["started"]).replace("T", " ")[:19]
        return f"prep {held['command']} (process {held['process']} on {held['host']}, since {since})"
    except (OSError, ValueError, KeyError, TypeError):
        return "another prep"
