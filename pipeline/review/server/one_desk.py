"""One desk a set: the second says where the first is."""

from __future__ import annotations

import contextlib
import json
import os
from collections.abc import Callable, Iterator
from pathlib import Path

from pipeline.core.errors import PrepError

LOCK = ".prep-desk"
ADDRESS = ".prep-desk.json"


@contextlib.contextmanager
def alone(root: Path) -> Iterator[Callable[[str], None]]:
    """Hold the set's desk; gives what notes its address. The system lets go of it when the process ends, however it ends.

    Raises:
        PrepError: there is a desk already; the message names its address.
    """
    import filelock

    if not os.access(root, os.W_OK):
        yield lambda address: None
        return
    held = filelock.FileLock(root / LOCK, timeout=0)
    try:
        held.acquire()
    except filelock.Timeout:
        address = _address(root)
        raise PrepError(
            f"a desk of {root} is open already" + (f": {address}" if address else ""),
            "use that one, or stop it with Ctrl-C where it was started",
        ) from None
    try:
        yield lambda address: _note(root, address)
    finally:
        with contextlib.suppress(OSError):
            (root / ADDRESS).unlink(missing_ok=True)
        with contextlib.suppress(OSError):  # while it is held, so that nobody holds a file that is not there any more
            (root / LOCK).unlink(missing_ok=True)
        held.release()


def _note(root: Path, address: str) -> None:
    """Leave the address for this account alone: it has the token in it."""
    file = root / ADDRESS
    file.unlink(missing_ok=True)
    with os.fdopen(os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", encoding="utf-8") as stream:
        json.dump({"address": address, "process": os.getpid()}, stream)


def _address(root: Path) -> str:
    try:
        return str(json.loads((root / ADDRESS).read_text(encoding="utf-8"))["address"])
    except (OSError, ValueError, KeyError, TypeError):
        return ""
