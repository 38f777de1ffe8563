"""Small sets for the tests of exports: made row by row, so that each test says what was decided."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from decided import decided
from PIL import Image as Pillow

from pipeline.core.filenames import flat, safe
from pipeline.core.files import file_digest
from pipeline.export.plan import Export, Options, plan_export, recorded
from pipeline.export.writing import carry_out
from pipeline.store.caption_files import take_in
from pipeline.store.manifest import Manifest
from pipeline.store.records import Decision, Image, Measurement
from pipeline.store.values.bucket import Bucket
from pipeline.store.values.repeats import Repeats

LAYOUTS = ("kohya", "everydream", "imagefolder", "webdataset")
BUCKET = Bucket((64, 64), (96, 64), (16, 0, 80, 64), 0.333)
BUCKET_OPTIONS = {
    "resolution": 64,
    "bucket_reso_steps": 8,
    "min_bucket_reso": None,
    "max_bucket_reso": None,
    "rule": "nearest",
    "upscale": True,
    "batch_size": 2,
}


def quiet(what: str, done: int, total: int) -> None:
    """Progress that nobody watches."""


def noise(seed: int, size: tuple[int, int] = (48, 32)) -> Pillow.Image:
    """An image of (width, height), another one for every seed."""
    pixels = np.random.default_rng(seed).integers(0, 256, (size[1], size[0], 3), dtype=np.uint8)
    return Pillow.fromarray(pixels)


class Workshop:
    """A set in the making: add images with what was decided on them, then `done()`."""

    def __init__(self, root: Path) -> None:
        self.manifest = Manifest.open(root, create=True)
        self.images: list[Image] = []
        self.rows: list[Decision] = []
        self.measured: list[Measurement] = []

    def add(self, concept: str, name: str = "a.png", caption: str | None = "solo", **decided: Any) -> str:
        """An image of a concept with decisions by field name; a number for `repeats` is the exact one. Its path."""
        path = f"images/{safe(flat(concept))}/{name}"
        file = self.manifest.root / path
        file.parent.mkdir(parents=True, exist_ok=True)
        with file.open("wb") as stream:
            noise(len(self.images)).save(stream, "PNG")
        content = file_digest(file)
        self.images.append(Image(path, concept, f"/src/{concept}/{name}", content, file.stat().st_size, "copy"))
        self.measured.append(
            Measurement(content, *decided.pop("size", (48, 32)), transparent=decided.pop("clear", False))
        )
        if caption is not None:
            file.with_suffix(".txt").write_text(caption + "\n", encoding="utf-8", newline="\n")
        for field, value in {"repeats": 1.0, "bucket": BUCKET, **decided}.items():
            if value is not None:
                self.decide(path, field, value)
        return path

    def decide(self, path: str, field: str, value: Any) -> None:
        if field == "repeats":
            value = Repeats(value, max(1, int(value)))
        self.rows.append(decided(path, field, value))

    def done(self, bucket: Mapping[str, Any] | None = BUCKET_OPTIONS) -> Manifest:
        """Write it down; `bucket` are the options that the bucket stage ran with, None if it did not."""
        with self.manifest.transaction():
            self.manifest.put_images(self.images)
            self.manifest.put_measurements(self.measured)
            self.manifest.put_rows(self.manifest.begin_run("test", {}), self.rows)
            if bucket is not None:
                self.manifest.finish_run(self.manifest.begin_run("bucket", bucket), {})
        take_in(self.manifest)
        return self.manifest


def change(manifest: Manifest, path: str, field: str, value: Any) -> None:
    """Decide something else."""
    with manifest.transaction():
        manifest.put_rows(manifest.begin_run("test", {}), [decided(path, field, value)])


def export(manifest: Manifest, folder: Path, layout: Any = "kohya", **options: Any) -> Export:
    """Export as the command does; returns what was planned."""
    asked = Options(folder=folder, layout=layout, **options)
    take_in(manifest)
    planned = plan_export(manifest, asked)
    if not planned.fresh:
        with recorded(manifest, asked, planned.counts()):
            folder.mkdir(parents=True, exist_ok=True)
            carry_out(folder, planned.before, planned.changes, asked.links, quiet)
    return planned


def tree(folder: Path) -> dict[str, bytes]:
    """Every file below a folder but the export's own record."""
    files = (Path(here) / name for here, _, names in os.walk(folder) for name in names)
    found = {file.relative_to(folder).as_posix(): file.read_bytes() for file in files}
    found.pop("prep-export.json", None)
    return found
