"""A set that is ready for regularization images, and a folder of them as a person has it."""

from pathlib import Path

import pytest
from painted_sets import painted, quiet, save

from pipeline.stages import bucket
from pipeline.store.manifest import Manifest
from pipeline.store.running.runner import run_stage


@pytest.fixture
def ready(checked: Manifest) -> Manifest:
    """Five images of three concepts with sizes of about 64²."""
    run_stage(checked, bucket.STAGE, bucket.Options(resolution=64, bucket_reso_steps=16, anchor="top"), quiet)
    return checked


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Three images for everyone, one of them with a caption, and two for Lumi."""
    root = tmp_path / "class images"
    for number, name in enumerate(
        ("one.png", "two.png", "three.png", "characters/Lumi/a.png", "characters/Lumi/b.jpg")
    ):
        save(painted(number + 20, 1.5), root / name)
    (root / "one.txt").write_text("1girl, forest\n", encoding="utf-8")
    return root
