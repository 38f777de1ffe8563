"""A set of images with the scores a test says."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest
from scored_sets import TAGGER, Build

from pipeline.store.manifest import Manifest
from pipeline.store.records import Image


@pytest.fixture
def build(tmp_path: Path) -> Build:
    """Make a set of images with scores: keywords are `concept__name` → scores, `None` for an image not scored."""

    def make(imgs: dict[str, dict[str, float] | None]) -> Manifest:
        manifest = Manifest.open(tmp_path / "set", create=True)
        images = []
        for path in imgs:
            concept, _, name = path.rpartition("/")
            image = Image(
                f"images/{concept.replace('/', '~')}/{name}.png",
                concept,
                f"/src/{path}",
                hashlib.sha256(path.encode()).hexdigest(),
                1,
                "copy",
            )
            (manifest.root / image.path).parent.mkdir(parents=True, exist_ok=True)
            images.append((image, imgs[path]))
        with manifest.transaction():
            manifest.put_images(image for image, _ in images)
            manifest.put_tagger(TAGGER)
            manifest.put_scores(TAGGER.id, {image.content: scores for image, scores in images if scores is not None})
        return manifest

    return make
