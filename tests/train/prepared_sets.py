"""Small sets that are ready to train, made without running the stages before training."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from decided import decided, trigger

from pipeline.core.files import file_digest
from pipeline.store.manifest import Manifest
from pipeline.store.reasons.check import CheckReason
from pipeline.store.records import Decision, Image
from pipeline.store.values.bucket import Bucket
from pipeline.store.values.repeats import Repeats
from train.miniature.examples import scenes
from train.miniature.painter import paint
from train.miniature.scenes import true_tags

FIELDS = ("keep", "bucket", "caption", "tags", "repeats")


def prepared_set(root: Path, sizes: Sequence[tuple[int, int]], repeats: Repeats) -> Manifest:
    """An open manifest with a painted image of each of these sizes, captions with the trigger Lumi and these repeats."""
    manifest = Manifest.open(root, create=True)
    images, decisions = [], []
    for index, (size, scene) in enumerate(zip(sizes, scenes(len(sizes), seed=31), strict=True)):
        file = root / "images" / "Lumi" / f"{index} ✨ [x].png"
        file.parent.mkdir(parents=True, exist_ok=True)
        paint(scene).resize(size).save(file)
        path = file.relative_to(root).as_posix()
        images.append(Image(path, "Lumi", str(file), file_digest(file), file.stat().st_size, "copy"))
        decisions += [
            Decision(path, "keep", True, CheckReason.GOOD),
            decided(path, "bucket", Bucket(size, size, (0, 0, *size))),
            decided(path, "caption", ", ".join(("Lumi", *true_tags(scene)))),
            decided(path, "tags", [trigger("Lumi")]),
            decided(path, "repeats", repeats),
        ]
    with manifest.transaction():
        run = manifest.begin_run("test", {}, "")
        manifest.put_images(images)
        manifest.put_decisions(run, FIELDS, decisions)
        manifest.finish_run(run, {})
    return manifest
