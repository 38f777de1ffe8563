"""The folders of runs and grids in a set, by name, and the images in them, by a word that stands for their path."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from pathlib import Path

from pipeline.core.errors import PrepError

RUNS, GRIDS = "runs", "grids"
IMAGES = frozenset((".png", ".jpg", ".jpeg", ".webp"))
PROGRESS, SAMPLES, CELLS = "progress", "samples", "images"


def names(root: Path, kind: str) -> list[str]:
    """The runs or grids of a set, the one changed last first. Links are left out: they may lead anywhere."""
    folder = root / kind
    if not folder.is_dir():
        return []
    found = [each for each in folder.iterdir() if each.is_dir() and not each.is_symlink()]
    return [each.name for each in sorted(found, key=lambda each: (-each.stat().st_mtime, each.name))]


def folder_of(root: Path, kind: str, name: str) -> Path:
    """The folder of a run or grid that is listed; a name that is not leads nowhere.

    Raises:
        PrepError: there is none of that name.
    """
    if name not in names(root, kind):
        raise PrepError(f"there is no {kind[:-1]} called {name!r}", "look at the list again")
    return root / kind / name


def word_of(name: str, path: str) -> str:
    """What stands for an image of a folder in an address: no path goes there."""
    return hashlib.sha256(f"{name}\0{path}".encode("utf-8", "surrogateescape")).hexdigest()[:24]


def images(folder: Path, *below: str) -> Iterator[str]:
    """The images in folders of a run or grid, as paths inside it; none that a link leads to."""
    for part in below:
        for file in sorted((folder / part).rglob("*")):
            inside = file.relative_to(folder)
            if file.suffix.lower() in IMAGES and file.is_file() and not _linked(folder, inside):
                yield inside.as_posix()


def _linked(folder: Path, inside: Path) -> bool:
    return any((folder / each).is_symlink() for each in (inside, *inside.parents) if str(each) != ".")


def image_of(root: Path, kind: str, name: str, word: str) -> Path:
    """The file that a word stands for.

    Raises:
        PrepError: there is no such image in that run or grid now.
    """
    folder = folder_of(root, kind, name)
    for path in images(folder, *((CELLS,) if kind == GRIDS else (PROGRESS, SAMPLES))):
        if word_of(name, path) == word:
            return folder / path
    raise PrepError("this image is not there any more", "load the page again")
