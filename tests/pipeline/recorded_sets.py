"""Sets that are known from their record alone: no image of them is on the disk."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from decided import decided

from pipeline.store.manifest import Manifest
from pipeline.store.records import Image
from pipeline.store.values.bucket import Bucket
from pipeline.store.values.repeats import Repeats

Row = tuple[str, str, tuple[int, int], str, float]
"""Path, concept, size of the bucket, caption, repeats."""


def recorded_set(root: Path, rows: Iterable[Row]) -> Manifest:
    """An open manifest of images that are ready to train but for their files."""
    manifest = Manifest.open(root, create=True)
    images, decisions = [], []
    for number, (path, concept, size, caption, exact) in enumerate(rows):
        images.append(Image(path, concept, path, f"{number:064x}", 1, "copy"))
        decisions += [
            decided(path, "bucket", Bucket(size, size, (0, 0, *size))),
            decided(path, "caption", caption),
            decided(path, "repeats", Repeats(exact, 1)),
        ]
    with manifest.transaction():
        run = manifest.begin_run("test", {})
        manifest.put_images(images)
        manifest.put_decisions(run, ("bucket", "caption", "repeats"), decisions)
        manifest.finish_run(run, {})
    return manifest
