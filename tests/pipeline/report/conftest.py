"""A checked set of three images whose names are hostile."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from decided import decided
from PIL import Image as Pillow
from reported_sets import COPY, EVIL, FIRST, SECOND, put

from pipeline.store.manifest import Manifest
from pipeline.store.reasons.check import CheckReason
from pipeline.store.reasons.placement import PlacementReason
from pipeline.store.records import Decision, Image


@pytest.fixture
def manifest(tmp_path: Path) -> Iterator[Manifest]:
    """Three images, one a copy of another, and one source file that is no image."""
    with Manifest.open(tmp_path / "a set", create=True) as manifest:
        images = []
        for path, colour in ((FIRST, "red"), (SECOND, "blue"), (COPY, "red")):
            file = manifest.root / path
            file.parent.mkdir(parents=True, exist_ok=True)
            Pillow.new("RGB", (200, 120), colour).save(file)
            images.append(Image(path, "girls/Ada", f"/sources/{path}", colour, 10, "copy"))
        with manifest.transaction():
            manifest.put_images(images, manifest.begin_run("before", {}))
        placed = [decided(image.source, "imported", image.path) for image in images]
        put(
            manifest,
            "flatten",
            ("imported",),
            *placed,
            Decision(f"/sources/{EVIL}.txt", "imported", None, PlacementReason.CAPTION_WITHOUT_IMAGE),
        )
        put(
            manifest,
            "check",
            ("keep",),
            Decision(FIRST, "keep", True, CheckReason.GOOD),
            Decision(SECOND, "keep", True, CheckReason.EXIF_ROTATED, {"orientation": 6}),
            Decision(COPY, "keep", False, CheckReason.DUPLICATE, {"of": FIRST}),
        )
        yield manifest
