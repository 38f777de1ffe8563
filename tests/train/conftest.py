"""A small prepared set, made without running the stages before training."""

from pathlib import Path

import pytest

from pipeline.core.files import file_digest
from pipeline.store.manifest import Manifest
from pipeline.store.records import Decision, Image
from pipeline.store.values.bucket import Bucket
from pipeline.store.values.repeats import Repeats
from train.miniature.examples import scenes
from train.miniature.painter import paint
from train.miniature.scenes import true_tags


@pytest.fixture
def prepared(tmp_path: Path):
    """An open manifest with six images in two buckets, captions with the trigger Lumi, fractional repeats."""
    root = tmp_path / "set"
    manifest = Manifest.open(root, create=True)
    images, decisions = [], []
    for index, scene in enumerate(scenes(6, seed=31)):
        size = (64, 64) if index % 2 else (48, 80)
        file = root / "images" / "Lumi" / f"{index} ✨ [x].png"
        file.parent.mkdir(parents=True, exist_ok=True)
        paint(scene).resize(size).save(file)
        path = file.relative_to(root).as_posix()
        images.append(Image(path, "Lumi", str(file), file_digest(file), file.stat().st_size, "copy"))
        bucket = Bucket(size, size, (0, 0, *size))
        decisions += [
            Decision(path, "keep", True, "fine"),
            Decision(path, "bucket", bucket, "nearest aspect"),
            Decision(path, "caption", ", ".join(("Lumi", *true_tags(scene))), "tags"),
            Decision(path, "tags", [["Lumi", "added", "trigger word"]], "chosen"),
            Decision(path, "repeats", Repeats(1.5, 1), "share"),
        ]
    with manifest.transaction():
        run = manifest.begin_run("test", {}, "")
        manifest.put_images(images)
        manifest.put_decisions(run, ("keep", "bucket", "caption", "tags", "repeats"), decisions)
        manifest.finish_run(run, {})
    yield manifest
    manifest.close()
