"""Images on disk: one that was edited in the set is no longer the content that was hashed, and is taken in as what it is now."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from pathlib import Path

from pipeline.core.files import digest_if_readable
from pipeline.store.manifest import Manifest
from pipeline.store.reasons.placement import PlacementReason
from pipeline.store.records import Decision, Image

EDITS = "edits"
"""The stage that runs are recorded under in which a person's captions and images were imported."""
READERS = 4
Stat = tuple[int, int]
"""Bytes and modification time in ns."""


@dataclass(slots=True)
class ImageEdits:
    """What was found: images that hold something else than was recorded, and files whose hash is known now."""

    edited: list[Image] = field(default_factory=list)
    """Each with the content it has now."""
    stamps: list[tuple[str, int, int, str]] = field(default_factory=list)


def take_in_images(manifest: Manifest) -> tuple[str, ...]:
    """Record images that were edited in the set under the content they have now; returns their paths.

    Files whose size and time are as they were are not read.
    """
    found = _look(manifest)
    if not (found.edited or found.stamps):
        return ()
    now = {image.path: image for image in found.edited}
    with manifest.transaction():
        manifest.put_files(found.stamps)
        if now:
            run = manifest.begin_run(EDITS, {})
            manifest.put_images((now.get(image.path, image) for image in manifest.images()), run)
            manifest.put_rows(run, [_row(image) for image in found.edited])
            manifest.finish_run(run, {PlacementReason.EDITED_IN_SET: len(now)})
    return tuple(sorted(now))


def sentence(paths: tuple[str, ...]) -> str:
    """What a person is to know of images that were edited."""
    return f"images edited in the set, taken in as they are now: {len(paths)}, such as {paths[0]}"


def _row(image: Image) -> Decision:
    return Decision(image.source, "imported", image.path, PlacementReason.EDITED_IN_SET)


def _look(manifest: Manifest) -> ImageEdits:
    known, found = manifest.known_files(), ImageEdits()
    todo = [
        (image, there)
        for image, there in _on_disk(manifest)
        if known.get(image.path, (0, 0, ""))[:2] != there or known[image.path][2] != image.content
    ]
    unread = [(image, there) for image, there in todo if not _as_source(known, image, there)]
    with ThreadPoolExecutor(READERS) as readers:
        digests = readers.map(digest_if_readable, [manifest.root / image.path for image, _ in unread])
        contents = {image.path: digest for (image, _), digest in zip(unread, digests, strict=True)}
    for image, (size, modified) in todo:
        content = contents.get(image.path, image.content)
        if not content:
            continue  # not allowed to be read: check says so
        found.stamps.append((image.path, size, modified, content))
        if content != image.content:
            found.edited.append(replace(image, content=content, bytes=size))
    return found


def _as_source(known: Mapping[str, tuple[int, int, str]], image: Image, there: Stat) -> bool:
    """Whether a file has size, time and content of its source as that was hashed: a link to it, or a copy with its time."""
    return known.get(image.source) == (*there, image.content)


def _on_disk(manifest: Manifest) -> Iterator[tuple[Image, Stat]]:
    """Every image that is there, with its size and time; a folder is listed once."""
    folder, listed = "", dict[str, os.DirEntry[str]]()
    for image in manifest.images():
        parent, _, name = image.path.rpartition("/")
        if parent != folder:
            folder, listed = parent, _listing(manifest.root / parent)
        entry = listed.get(name)
        if entry is not None:
            try:
                status = entry.stat()
            except OSError:
                continue
            yield image, (status.st_size, status.st_mtime_ns)


def _listing(folder: Path) -> dict[str, os.DirEntry[str]]:
    try:
        with os.scandir(folder) as entries:
            return {entry.name: entry for entry in entries}
    except OSError:
        return {}


def stamps_of(root: Path, images: Mapping[str, Image], paths: Iterator[str]) -> Iterator[tuple[str, int, int, str]]:
    """Rows for files that were just brought into the set, so that they need not be read again."""
    for path in paths:
        image = images.get(path)
        if image is None:
            continue
        try:
            status = (root / path).stat()
        except OSError:
            continue
        if status.st_size == image.bytes:
            yield path, status.st_size, status.st_mtime_ns, image.content
