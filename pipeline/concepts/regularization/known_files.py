"""The regularization images that lie in a set, and their contents, hashed once."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from pipeline.concepts.regularization.paths import FOLDER
from pipeline.core.files import digest_if_readable
from pipeline.sources.source_file import EXTENSIONS
from pipeline.store.manifest import Manifest
from pipeline.store.records import Image
from pipeline.store.running.stage import ProgressCallback

BATCH = 64


def hash_new(manifest: Manifest, threads: ThreadPoolExecutor, progress: ProgressCallback) -> None:
    """Hash the regularization images whose size or time is new."""
    known = manifest.known_files()
    todo = [(path, *stamp) for path, stamp in _files(manifest.root) if known.get(path, ())[:2] != stamp]
    for start in range(0, len(todo), BATCH):
        part = todo[start : start + BATCH]
        digests = threads.map(digest_if_readable, [manifest.root / path for path, _, _ in part])
        rows = [(*row, digest) for row, digest in zip(part, digests, strict=True) if digest]
        with manifest.transaction():
            manifest.put_files(rows)
        progress("reading regularization images", start + len(part), len(todo))


def _files(root: Path) -> list[tuple[str, tuple[int, int]]]:
    """(path in the set, (bytes, modification time in ns)) of the regularization images, in order of path."""
    files = [file for file in (root / FOLDER).rglob("*") if file.suffix.lower() in EXTENSIONS and file.is_file()]
    stamps = [(file.relative_to(root).as_posix(), file.stat()) for file in files]
    return sorted((path, (stamp.st_size, stamp.st_mtime_ns)) for path, stamp in stamps)


def known_images(manifest: Manifest) -> list[Image]:
    """The regularization images whose content is known, as images of no concept."""
    known = manifest.known_files()
    return [
        Image(path, "", path, known[path][2], stamp[0], "")
        for path, stamp in _files(manifest.root)
        if known.get(path, ())[:2] == stamp
    ]
