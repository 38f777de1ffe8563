"""A look at source folders: every file in them, one after another, without opening any."""

from __future__ import annotations

import errno
import os
import stat
from collections import deque
from collections.abc import Iterable, Iterator
from pathlib import Path

from pipeline.core.errors import PrepError
from pipeline.sources.auxiliary import is_housekeeping
from pipeline.sources.source_file import Found, concept_at, is_meta, is_utf8, kind_of, printable
from pipeline.store.reasons.placement import PlacementReason as P
from pipeline.store.reasons.reason import Cause

SAMPLES = ("prompts.json", "samples.json")
"""What lists the sample images of a run, in the folder that holds them: those made while it trained, and those made after."""
BASE, OF_BASE, SHEET = "base", " base.png", "grid.png"
"""What is beside that: the folder of the base model's images without the adapter, how their names end where they lie among
the others, and all on one sheet."""


def scan(sources: Iterable[Path | str], follow_links: bool = False, *, of_sets: bool = False) -> Iterator[Found]:
    """Everything below source folders in a fixed order; a folder that two sources reach comes once.

    A link is followed where it leads to something in its own source, and out of it only with `follow_links`. No folder is
    entered twice, so links cannot lead in circles.

    Args:
        of_sets: a source may be the images of a set.
    Raises:
        PrepError: a source is itself a set.
    """
    visited: dict[str, str] = {}
    for source in sources:
        folder = Path(source)
        images = not of_sets and folder.name == "images" and (folder.parent / "manifest.db").exists()
        if images or (folder / "manifest.db").exists():
            raise PrepError(
                f"{folder} is a set, not a folder of source images", "name the folders the set was made from"
            )
        yield from _Walk(str(folder), follow_links, visited).tell()


class _Walk:
    """One source folder being read. Folders come before links to folders, so that a real place comes under its own name."""

    def __init__(self, source: str, follow_links: bool, visited: dict[str, str]) -> None:
        self.source, self.follow_links, self.visited = source, follow_links, visited
        self.root = os.path.realpath(source)
        self.name = Path(source).name or "source"
        self.folders: list[tuple[str, tuple[str, ...]]] = [(source, ())]
        self.links: deque[tuple[str, tuple[str, ...]]] = deque()

    def tell(self) -> Iterator[Found]:
        while self.folders or self.links:
            folder, parts = self.folders.pop() if self.folders else self.links.popleft()
            concept = concept_at(parts, self.name)
            try:
                identity = _identity(folder)
                if identity in self.visited:
                    yield from self._again(folder, concept, self.visited[identity])
                    continue
                with os.scandir(folder) as listing:
                    entries = sorted(listing, key=lambda entry: entry.name)
            except OSError as error:
                yield Found(folder, concept, problem=Cause(P.FOLDER_UNREADABLE, {"why": error.strerror}))
                continue
            self.visited[identity] = folder
            if parts and any(entry.name == "manifest.db" for entry in entries):
                yield Found(folder, concept, problem=Cause(P.A_SET))
                continue
            if Path(folder).name == BASE and _has_samples(Path(folder).parent):
                yield Found(folder, concept, problem=Cause(P.BASE_MODEL_IMAGES))
                continue
            yield from self._entries(entries, parts, concept)

    def _again(self, folder: str, concept: str, before: str) -> Iterator[Found]:
        """A folder that was entered before: nothing new by the same name, a row by another."""
        if folder == before:
            return
        if (folder + os.sep).startswith(before + os.sep):
            yield Found(folder, concept, problem=Cause(P.LINK_LOOP, {"to": before}))
        else:
            yield Found(folder, concept, problem=Cause(P.FOLDER_REPEATED, {"to": before}))

    def _entries(self, entries: list[os.DirEntry[str]], parts: tuple[str, ...], concept: str) -> Iterator[Found]:
        below = []
        for entry in entries:
            found = self._look(entry, concept)
            if found is not None:
                yield found
            elif is_housekeeping(entry.name):
                yield Found(entry.path, concept, problem=Cause(P.HOUSEKEEPING))
            elif _is_link(entry):
                self.links.append((entry.path, (*parts, entry.name)))
            else:
                below.append((entry.path, (*parts, entry.name)))
        self.folders.extend(reversed(below))

    def _look(self, entry: os.DirEntry[str], concept: str) -> Found | None:
        """What an entry is; None for a folder to go into."""
        if not is_utf8(entry.path):
            return Found(printable(entry.path), printable(concept), problem=Cause(P.NAME_NOT_UTF8))
        if entry.name.startswith(".") and not is_meta(entry.name):
            return Found(entry.path, concept, problem=Cause(P.HIDDEN))
        if entry.name == SHEET and _has_samples(Path(entry.path).parent):
            return Found(entry.path, concept, problem=Cause(P.SAMPLE_SHEET))
        if entry.name.endswith(OF_BASE) and _has_samples(Path(entry.path).parent):
            return Found(entry.path, concept, problem=Cause(P.BASE_MODEL_IMAGES))
        target = ""
        try:
            if _is_link(entry):
                status = Path(entry.path).stat()
                target = os.path.realpath(entry.path)
                if not self.follow_links and not (target + os.sep).startswith(self.root.rstrip(os.sep) + os.sep):
                    return Found(entry.path, concept, problem=Cause(P.LINK_LEADS_OUT, {"to": printable(target)}))
            elif entry.is_dir(follow_symlinks=False):
                return None
            else:
                status = entry.stat(follow_symlinks=False)
        except OSError as error:
            return Found(entry.path, concept, problem=_trouble(entry, error))
        if stat.S_ISDIR(status.st_mode):
            return None
        if not stat.S_ISREG(status.st_mode):
            return Found(entry.path, concept, problem=Cause(P.NOT_A_FILE))
        kind, problem = kind_of(entry.name)
        return Found(
            entry.path, concept, kind, status.st_size, status.st_mtime_ns, problem=problem, file=target, link=target
        )


def _has_samples(folder: Path) -> bool:
    """Whether a run of prep wrote its sample images there."""
    return any((folder / listing).is_file() for listing in SAMPLES)


def _identity(folder: str) -> str:
    """The same text for two paths of one folder."""
    status = Path(folder).stat()
    return f"{status.st_dev} {status.st_ino}" if status.st_ino else os.path.realpath(folder)


def _is_link(entry: os.DirEntry[str]) -> bool:
    """A symbolic link, or a junction of Windows."""
    return entry.is_symlink() or (hasattr(entry, "is_junction") and entry.is_junction())


def _trouble(entry: os.DirEntry[str], error: OSError) -> Cause:
    if error.errno == errno.ELOOP:
        return Cause(P.LINK_LOOP)
    return Cause(P.BROKEN_LINK) if _is_link(entry) else Cause(P.UNREADABLE, {"why": error.strerror})
