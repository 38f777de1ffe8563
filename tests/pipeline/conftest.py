"""Fixtures: a painted source tree, sets made from it, and the command."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from hypothesis import settings
from painted_sets import painted, quiet, run_flatten, save

from pipeline.cli.main import prep
from pipeline.stages import check
from pipeline.store.manifest import Manifest
from pipeline.store.running.runner import run_stage

settings.register_profile("no deadline", deadline=None, max_examples=50)
settings.load_profile("no deadline")


@pytest.fixture
def source(tmp_path: Path) -> Path:
    """A source folder: two levels of concepts, five images, one caption, one file that is no image."""
    root = tmp_path / "source"
    for number, name in enumerate(
        (
            "characters/Lumi/a.png",
            "characters/Lumi/b.png",
            "characters/Quill/a.png",
            "artists/alder/x.png",
            "artists/alder/y.png",
        )
    ):
        save(painted(number, 1.5), root / name)
    (root / "characters/Lumi/a.txt").write_text("lumi, 1girl\n", encoding="utf-8")
    (root / "characters/readme.md").write_text("not an image", encoding="utf-8")
    return root


@pytest.fixture
def flattened(source: Path, tmp_path: Path) -> Manifest:
    """The record of a set made from `source`."""
    manifest = Manifest.open(tmp_path / "set", create=True)
    run_flatten(manifest, source)
    return manifest


@pytest.fixture
def checked(flattened: Manifest) -> Manifest:
    run_stage(flattened, check.STAGE, check.Options(), quiet)
    return flattened


@pytest.fixture
def command() -> Callable[..., Result]:
    """Run `prep` with these arguments."""
    return lambda *arguments: CliRunner().invoke(prep, [str(each) for each in arguments])
