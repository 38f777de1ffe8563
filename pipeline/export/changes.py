"""What has to be done so that a folder holds an export, and nothing of a person's is touched."""

from __future__ import annotations

import fnmatch
import os
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from pipeline.core.files import HALF_WRITTEN, digest_if_readable
from pipeline.export.record import FILE, FileEntry, Record
from pipeline.export.request import CROP, SHARD, STAMP, ExportedImage, Text, Wanted


class Seen(NamedTuple):
    """A file in the folder: size, modification time in ns, and whether it is a symbolic link."""

    bytes: int
    modified: int
    symbolic: bool


@dataclass(frozen=True, slots=True)
class Changes:
    """What to do: files to write, paths to remove. What stays: `kept` ours and as wanted, `edited` ours but changed.

    `in_the_way` are a person's files where an exported one should be, `strangers` everything else that prep did not
    write.
    """

    write: tuple[Wanted, ...]
    remove: tuple[str, ...]
    kept: Mapping[str, FileEntry]
    edited: tuple[str, ...]
    in_the_way: tuple[str, ...]
    strangers: tuple[str, ...]


def listing(folder: Path) -> dict[str, Seen]:
    """Every file below a folder, with paths relative to it; symbolic links are not followed."""
    found: dict[str, Seen] = {}
    pending = [("", folder)]
    while pending:
        prefix, here = pending.pop()
        with os.scandir(here) as entries:
            for entry in entries:
                path = prefix + entry.name
                if entry.is_dir(follow_symlinks=False):
                    pending.append((path + "/", Path(entry.path)))
                else:
                    # on Windows a listing may tell an old size or time of a file with several names
                    status = os.lstat(entry.path) if os.name == "nt" else entry.stat(follow_symlinks=False)
                    found[path] = Seen(status.st_size, status.st_mtime_ns, entry.is_symlink())
    found.pop(FILE, None)
    return found


def compare(folder: Path, record: Record, wanted: Iterable[Wanted], how: str) -> Changes:
    """Compare what an export should hold with what lies in the folder; `how` is the kind of link asked for."""
    there = listing(folder) if folder.exists() else {}
    files = {file.path: file for file in wanted}
    gone, left = _no_longer_wanted(folder, record, files, there)
    blocked = _blocked(files, there, set(gone))
    write: list[Wanted] = []
    kept: dict[str, FileEntry] = {}
    edited, in_the_way = list(left), sorted(blocked)
    for path, file in files.items():
        known, seen = record.files.get(path), there.get(path)
        if path in blocked:
            continue
        if seen is None:
            write.append(file)
        elif _is_as_written(known, seen) or _is_unfinished(folder, record, path):
            mark = file.mark
            current = known is not None and known.mark == mark if _is_as_written(known, seen) else _holds(folder, file)
            if current and _is_kind(folder, file, seen, how):
                kept[path] = FileEntry(mark, seen.bytes, seen.modified)
            else:
                write.append(file)
        elif _holds(folder, file):
            if known is not None:
                kept[path] = FileEntry(file.mark, seen.bytes, seen.modified)
        else:
            (edited if known is not None else in_the_way).append(path)
    ours = files.keys() | set(gone) | set(left)
    strangers = tuple(sorted(path for path in there if path not in ours))
    return Changes(tuple(write), tuple(gone), kept, tuple(sorted(edited)), tuple(sorted(in_the_way)), strangers)


def _no_longer_wanted(
    folder: Path, record: Record, files: Mapping[str, Wanted], there: Mapping[str, Seen]
) -> tuple[list[str], list[str]]:
    """(files of ours to remove, half-written ones of a killed run too; files of ours that a person changed since)."""
    gone = [path for path in there if is_half_written(path)]
    left: list[str] = []
    for path in sorted((record.files.keys() | record.pending.keys()) - files.keys()):
        seen, known = there.get(path), record.files.get(path)
        if seen is None:
            continue
        mine = _is_as_written(known, seen) or _is_unfinished(folder, record, path)
        (gone if mine else left).append(path)
    return gone, left


def is_half_written(path: str) -> bool:
    """Whether a file is one that a killed run was writing."""
    return fnmatch.fnmatchcase(path.rpartition("/")[2], HALF_WRITTEN)


def _is_as_written(known: FileEntry | None, seen: Seen) -> bool:
    return known is not None and (known.bytes, known.modified) == (seen.bytes, seen.modified)


def _is_unfinished(folder: Path, record: Record, path: str) -> bool:
    """Whether a file is one that a run which did not end put there: its bytes tell, or no other could be meant."""
    mark = record.pending.get(path)
    return mark is not None and (mark.startswith((CROP, SHARD, STAMP)) or digest_if_readable(folder / path) == mark)


def _holds(folder: Path, file: Wanted) -> bool:
    """Whether a file is as wanted by what it holds, whatever its time says; never so for crops and shards."""
    target = folder / file.path
    if isinstance(file, Text):
        return digest_if_readable(target) == file.mark
    if not isinstance(file, ExportedImage):
        return False
    try:
        return target.samefile(file.source) or digest_if_readable(target) == file.content
    except OSError:
        return False


def _is_kind(folder: Path, file: Wanted, seen: Seen, how: str) -> bool:
    """Whether an image's file is linked as asked for; `auto` takes any."""
    if how == "auto" or not isinstance(file, ExportedImage):
        return True
    if how == "symlink" or seen.symbolic:
        return how == "symlink" and seen.symbolic
    same = (folder / file.path).samefile(file.source)
    return same if how == "hardlink" else not same


def _blocked(files: Mapping[str, Wanted], there: Mapping[str, Seen], gone: set[str]) -> set[str]:
    """Wanted files that cannot be written: a person's file stands where their folder should be, or a folder of theirs."""
    staying = there.keys() - gone
    standing = {above for path in staying for above in _above(path.rpartition("/")[0])}
    shut = {folder for folder in {path.rpartition("/")[0] for path in files} if not staying.isdisjoint(_above(folder))}
    return {path for path in files if path in standing or path.rpartition("/")[0] in shut}


def _above(folder: str) -> Iterator[str]:
    """A folder and every one above it."""
    while folder:
        yield folder
        folder = folder.rpartition("/")[0]
