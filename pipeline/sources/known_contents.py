"""The contents of files in sources: hashed once, and again only when a file's size or time is new."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from pipeline.core.files import digest_if_readable
from pipeline.sources.auxiliary import is_mask
from pipeline.sources.source_file import IMAGE, Found
from pipeline.store.manifest import Manifest
from pipeline.store.running.stage import ProgressCallback

BATCH = 256
READERS = 4


def hash_new(manifest: Manifest, found: Sequence[Found], progress: ProgressCallback) -> None:
    """Hash every image and mask whose size or time is new; a batch that is done stays done."""
    known = manifest.known_files()
    todo = [
        each
        for each in found
        if ((each.kind == IMAGE and not each.problem) or is_mask(each))
        and known.get(each.path, ())[:2] != (each.bytes, each.modified)
    ]
    with ThreadPoolExecutor(READERS) as readers:
        for start in range(0, len(todo), BATCH):
            batch = todo[start : start + BATCH]
            digests = readers.map(digest_if_readable, [Path(each.place) for each in batch])
            rows = [(each.path, each.bytes, each.modified, digest) for each, digest in zip(batch, digests, strict=True)]
            with manifest.transaction():
                manifest.put_files(row for row in rows if row[3])
            progress("reading sources", start + len(batch), len(todo))


def content_of(found: Found, known: Mapping[str, tuple[int, int, str]]) -> str:
    """The digest of a file, "" where it cannot be read; `known` is what the manifest holds of files."""
    size, modified, content = known.get(found.path, (-1, -1, ""))
    return content if (size, modified) == (found.bytes, found.modified) else digest_if_readable(Path(found.place))
