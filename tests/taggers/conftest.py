"""Folders with a tagger small enough to compute by hand."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from tiny_tagger import write_labels, write_model


@pytest.fixture
def tiny(tmp_path: Path) -> Callable[..., Path]:
    """Make a folder with the tiny tagger in it; keywords as `write_model` takes them."""

    def make(name: str = "tiny", **options: object) -> Path:
        folder = tmp_path / name
        folder.mkdir()
        write_model(folder, **options)  # type: ignore[arg-type]
        write_labels(folder)
        return folder

    return make
