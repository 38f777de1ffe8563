"""SHA-256 of large files, computed once and remembered by path, size and time of change in the user's cache folder."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import sys
from pathlib import Path

from pipeline.core.files import file_digest, write_text

LARGE = 64 * 2**20
"""Bytes from which a hash is worth remembering."""


def cache_folder() -> Path:
    """The user's cache folder as the system has it: XDG_CACHE_HOME where it is set."""
    given = os.environ.get("XDG_CACHE_HOME")
    if given:
        return Path(given) / "lora-prep"
    if sys.platform == "win32":
        return Path(os.environ.get("LOCALAPPDATA") or Path.home() / "AppData" / "Local") / "lora-prep" / "cache"
    return Path.home() / ("Library/Caches" if sys.platform == "darwin" else ".cache") / "lora-prep"


def remembered_digest(file: Path) -> str:
    """SHA-256 of a file's bytes in hex. One remembered is taken only while size and time of change are the same to the
    nanosecond; a cache that cannot be read or written is done without."""
    stat = file.stat()
    if stat.st_size < LARGE:
        return file_digest(file)
    path = str(file.resolve())
    note = cache_folder() / "hashes" / f"{hashlib.sha256(path.encode('utf-8', 'surrogatepass')).hexdigest()}.json"
    facts = {"path": path, "size": stat.st_size, "modified_ns": stat.st_mtime_ns}
    with contextlib.suppress(OSError, ValueError, KeyError, TypeError):
        known = json.loads(note.read_text(encoding="utf-8"))
        digest = known.pop("sha256")
        if known == facts and isinstance(digest, str) and len(digest) == 64:
            return digest
    digest = file_digest(file)
    after = file.stat()
    if (after.st_size, after.st_mtime_ns) == (stat.st_size, stat.st_mtime_ns):
        with contextlib.suppress(OSError):
            write_text(note, json.dumps(facts | {"sha256": digest}) + "\n")
    return digest
