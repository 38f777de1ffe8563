"""Files that a run replaces, removes or makes, kept so that it can be undone.

What a file held before lies in SET/undo/RUN/ under its own path. The folder can be deleted to make room; then those runs
can no longer be undone. Only files are here: rows are noted in `history` and `image_history` by the manifest, captions
by `pipeline.store.caption_files`.
"""

from __future__ import annotations

import contextlib
import os
import shutil
from collections.abc import Iterable, Iterator
from pathlib import Path

from pipeline.store.failures import CannotUse
from pipeline.store.manifest import Manifest

FOLDER = "undo"
ABSENT = ""
"""The stamp of a file that is not there."""


def stamp(file: Path) -> str:
    """Size and modification time of a file as one text, ABSENT when it is not there."""
    try:
        status = file.stat()
    except OSError:
        return ABSENT
    return f"{status.st_size}:{status.st_mtime_ns}"


def saved(root: Path, run: int, path: str) -> Path:
    """Where the file that a run replaced lies."""
    return root / FOLDER / str(run) / path


def save(root: Path, run: int, path: str) -> None:
    """Keep what a file of the set holds now, before a run replaces it; what is kept already stays."""
    there, kept = root / path, saved(root, run, path)
    if not there.is_file() or kept.exists():
        return
    kept.parent.mkdir(parents=True, exist_ok=True)
    try:
        os.link(there, kept, follow_symlinks=False)
    except OSError:
        part = kept.with_name(kept.name + ".part")
        try:
            shutil.copy2(there, part)
            part.replace(kept)
        finally:
            part.unlink(missing_ok=True)


def begin(manifest: Manifest, run: int, paths: Iterable[str]) -> None:
    """Note, before they are touched, which files a run will make or replace; inside a transaction."""
    manifest.history.note_files(run, ((path, stamp(manifest.root / path)) for path in paths))


def commit(manifest: Manifest, run: int) -> None:
    """Note what became of the files that were noted, and forget those that are as they were; inside a transaction."""
    now = [(path, before, stamp(manifest.root / path)) for path, before, _ in manifest.history.files(run)]
    same = [path for path, before, after in now if before == after]
    manifest.history.finish_files(run, [(path, after) for path, before, after in now if before != after], same)
    for path in same:
        saved(manifest.root, run, path).unlink(missing_ok=True)
    _prune(manifest.root / FOLDER / str(run))


@contextlib.contextmanager
def watching(manifest: Manifest, run: int, patterns: tuple[str, ...]) -> Iterator[None]:
    """Keep the files of the set that fit these patterns while a block makes, replaces or removes some of them.

    Where the block fails and the record cannot be written to either, as on a full disk, the block's own failure is what
    is raised: the next run notes what this one made.
    """
    before = _fitting(manifest.root, patterns)
    for path in before:
        save(manifest.root, run, path)
    with manifest.transaction():
        begin(manifest, run, before)
    try:
        yield
    except BaseException:
        with contextlib.suppress(CannotUse):
            finalize(manifest, run)
        raise
    finalize(manifest, run)


def finalize(manifest: Manifest, run: int) -> None:
    """Note what a run made and replaced, of the files noted and of those that fit its patterns now; of a run for which
    that is noted already, nothing."""
    patterns = manifest.patterns(run)
    if patterns is None:
        return
    after = _fitting(manifest.root, patterns)
    with manifest.transaction():
        manifest.forget_patterns(run)
        manifest.history.note_files(run, ((path, ABSENT) for path in after))
        commit(manifest, run)


def _fitting(root: Path, patterns: Iterable[str]) -> list[str]:
    found = {file for pattern in patterns for file in root.glob(pattern) if file.is_file()}
    return sorted(file.relative_to(root).as_posix() for file in found if not file.name.startswith("."))


def _prune(folder: Path) -> None:
    """Take away empty folders from here down."""
    for parent, _, _ in sorted(os.walk(folder), reverse=True):
        with contextlib.suppress(OSError):
            Path(parent).rmdir()
