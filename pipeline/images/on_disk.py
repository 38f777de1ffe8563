"""Which images of a set are on the disk."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from pipeline.store.records import Image


def missing_images(root: Path, images: Iterable[Image]) -> set[str]:
    """Paths of the images that are not on disk."""
    folders: dict[str, set[str]] = {}
    missing = set()
    for image in images:
        folder, _, name = image.path.rpartition("/")
        if folder not in folders:
            try:
                folders[folder] = {entry.name for entry in (root / folder).iterdir()}
            except OSError:
                folders[folder] = set()
        if name not in folders[folder]:
            missing.add(image.path)
    return missing
