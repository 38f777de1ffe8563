"""A folder brought to hold an export: every file whole or not at all, and the record kept as it goes."""

from __future__ import annotations

import contextlib
import io
import os
import tarfile
import time
from collections import Counter, deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import IO

from pipeline.core.decoding.image_io import load_cropped
from pipeline.core.files import replacing
from pipeline.core.links import link_file
from pipeline.export.changes import Changes
from pipeline.export.layouts.webdataset import header
from pipeline.export.record import FileEntry, Record, write_record
from pipeline.export.request import Crop, ExportedImage, Shard, Text, Wanted
from pipeline.store.running.stage import ProgressCallback

THREADS = max(1, min(8, os.cpu_count() or 1))
WAITING = 4 * THREADS
"""Files under way at once: crops are held in memory only while they are among these."""
NOTE_EVERY_S = 10.0
COMPRESSION = 3
"""zlib's level for crops: nearly as small as the usual 6 in a fraction of the time."""


def carry_out(folder: Path, before: Record, changes: Changes, how: str, progress: ProgressCallback) -> dict[str, int]:
    """Remove what is no longer wanted, write what is; returns how many files came to be in which way.

    The record says beforehand what is about to be written, and every few seconds what was, so that the next run knows
    the files of one that was killed.
    """
    edited = {path: before.files[path] for path in changes.edited if path in before.files}
    going = {path: before.files[path] for path in changes.remove if path in before.files}
    still = {file.path: before.files[file.path] for file in changes.write if file.path in before.files}
    pending = {file.path: file.mark for file in changes.write}
    done: dict[str, FileEntry] = {**changes.kept, **edited}
    unfinished = {path: before.pending[path] for path in changes.remove if path in before.pending}
    write_record(folder, replace(before, files={**still, **going, **done}, pending={**unfinished, **pending}))
    _remove(folder, changes.remove)
    kinds: Counter[str] = Counter()
    noted, cost, total, count = time.monotonic(), 0.0, sum(map(_weight, changes.write)), 0
    try:
        for file, (kind, entry) in _in_threads(changes.write, lambda file: _write(folder, file, how)):
            done[file.path] = entry
            pending.pop(file.path)
            kinds[kind] += 1
            count += _weight(file)
            progress("writing", count, total)
            if time.monotonic() - noted > max(NOTE_EVERY_S, 20 * cost):
                start = time.monotonic()
                write_record(folder, replace(before, files={**still, **done}, pending=pending))
                noted, cost = time.monotonic(), time.monotonic() - start
    finally:
        write_record(folder, replace(before, files={**still, **done}, pending=pending))
    return dict(kinds)


def _weight(file: Wanted) -> int:
    return len(file.members) if isinstance(file, Shard) else 1


def _in_threads(
    files: Iterable[Wanted], work: Callable[[Wanted], tuple[str, FileEntry]]
) -> Iterator[tuple[Wanted, tuple[str, FileEntry]]]:
    """(file, what came of it) in their order, a few at a time; the first failure ends it."""
    with ThreadPoolExecutor(THREADS) as pool:
        waiting: deque[tuple[Wanted, Future[tuple[str, FileEntry]]]] = deque()
        try:
            for file in files:
                waiting.append((file, pool.submit(work, file)))
                if len(waiting) >= WAITING:
                    first, result = waiting.popleft()
                    yield first, result.result()
            while waiting:
                first, result = waiting.popleft()
                yield first, result.result()
        finally:
            for _, result in waiting:
                result.cancel()


def _write(folder: Path, file: Wanted, how: str) -> tuple[str, FileEntry]:
    """Put one file in its place; returns the key it is counted by, and what to remember of it."""
    target = folder / file.path
    kind = f"written_as:{_link(file.source, target, how)}" if isinstance(file, ExportedImage) else _make(target, file)
    status = target.lstat()
    return kind, FileEntry(file.mark, status.st_size, status.st_mtime_ns)


def _make(target: Path, file: Text | Crop | Shard) -> str:
    """Write a file of prep's own making; returns the key it is counted by."""
    with replacing(target) as temporary, temporary.open("wb") as stream:
        if isinstance(file, Text):
            stream.write(file.data)
            return "written_as:text"
        if isinstance(file, Shard):
            _write_shard(file, stream)
            return "written_as:shard"
        stream.write(_png(file))
        return "written_as:cropped PNG"


def _link(source: str, target: Path, how: str) -> str:
    """Link beside the target and put that in its place, as a file that is there already might be left as it is."""
    if not os.path.lexists(target):
        return link_file(source, target, how)
    with replacing(target) as temporary:
        temporary.unlink()
        return link_file(source, temporary, how)


def _png(file: Crop) -> bytes:
    stream = io.BytesIO()
    load_cropped(file.source, file.bucket).save(stream, "PNG", compress_level=COMPRESSION)
    return stream.getvalue()


def _write_shard(shard: Shard, stream: IO[bytes]) -> None:
    """Write an archive from front to back; the same members give the same bytes."""
    with tarfile.open(fileobj=stream, mode="w|", format=tarfile.PAX_FORMAT) as archive:
        for member in shard.members:
            file = member.file
            if isinstance(file, ExportedImage):
                with Path(file.source).open("rb") as image:
                    archive.addfile(header(file.path, os.fstat(image.fileno()).st_size), image)
            else:
                data = file.data if isinstance(file, Text) else _png(file)
                archive.addfile(header(file.path, len(data)), io.BytesIO(data))


def _remove(folder: Path, paths: Iterable[str]) -> None:
    """Take away files, and folders that are left empty by it."""
    emptied = set()
    for path in paths:
        (folder / path).unlink(missing_ok=True)
        emptied |= {above for above in Path(path).parents if above.parts}
    for below in sorted(emptied, key=lambda path: len(path.parts), reverse=True):
        with contextlib.suppress(OSError):
            (folder / below).rmdir()
