"""The record of a set for a command: to read, or to write with the set held for it alone."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path

from pipeline.store import database
from pipeline.store.edits import take_in
from pipeline.store.lock import is_locked, lock
from pipeline.store.manifest import Manifest
from pipeline.store.migrations import steps
from pipeline.store.tables.schema import FILE, VERSION


@contextlib.contextmanager
def open_write(root: Path, command: str, create: bool = False, dry_run: bool = False) -> Iterator[Manifest]:
    """The record of a set for a command that writes to it, held for it alone; a preview makes no set where there is none."""
    if not (root / FILE).exists() and (dry_run or not create):
        with Manifest.preview(root) if create else Manifest.open(root) as manifest:
            yield manifest
        return
    if root.exists() and not root.is_dir():
        Manifest.open(root, create=True)
    if dry_run and not os.access(root, os.W_OK):
        with Manifest.open(root) as manifest:
            yield manifest
        return
    with lock(root, command), Manifest.open(root, create=create) as manifest:
        yield manifest


@contextlib.contextmanager
def open_read(root: Path) -> Iterator[Manifest]:
    """The record of a set to read, with captions that were edited meanwhile unless another prep is at work."""
    with Manifest.open(root) as manifest:
        if not os.access(root, os.W_OK) or not is_locked(root):
            take_in(manifest)
        yield manifest


def bring_forward(root: Path) -> str:
    """Bring a set that an older prep made up to this one, held while that is done; what was done in a sentence, "" if there
    was nothing to do.

    Raises:
        PrepError: the record is damaged, another program's or a newer prep's, or another process is at work on the set.
    """
    file = root / FILE
    version = database.version_of(file)
    if version in (0, VERSION):
        return ""
    with lock(root, "migrate"), Manifest.open(root):
        pass
    kept = steps.backup_of(file, version)
    return f"the set was brought from format {version} to {VERSION}; its record as it was is kept in {kept}"
