"""One command at a time on a set: the second learns who holds it."""

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


class SetInUse(PrepError):
    """Another process is at work on the set."""


LOCK = ".prep-lock"
HOLDER = ".prep-holder.json"
A_LOOK = 0.2
"""Seconds; a process that only looks whether the set is in use, as the desk does again and again, holds it for far less."""


@contextlib.contextmanager
def lock(root: Path, command: str) -> Iterator[None]:
    """Hold the set for a command; the system lets go of it when the process ends, however it ends.

    Raises:
        SetInUse: another process holds it; the message says which, and since when.
    """
    import filelock

    root.mkdir(parents=True, exist_ok=True)
    held = filelock.FileLock(root / LOCK, timeout=A_LOOK, poll_interval=A_LOOK / 20)
    try:
        held.acquire()
    except filelock.Timeout:
        raise SetInUse(f"{_holder(root)} is at work on {root}", "wait for it to end, or stop it") from None
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
        held.release()


def holder(root: Path) -> str:
    """Which command is at work on the set now, "" where none is."""
    return _holder(root) if is_locked(root) else ""


def is_locked(root: Path) -> bool:
    """Whether some process is at work on the set now."""
    import filelock

    held = filelock.FileLock(root / LOCK, timeout=0)
    try:
        with held:
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
