"""A small set to export, and the folder it goes to."""

from __future__ import annotations

import pytest
from export_sets import Workshop


@pytest.fixture
def manifest(tmp_path):
    """Two concepts, three images: one shown twice as often."""
    shop = Workshop(tmp_path / "set")
    shop.add("characters/Lumi", "a.png", "lumi, smile", repeats=2.5)
    shop.add("characters/Lumi", "b.png", "lumi, hat", repeats=2.5)
    shop.add("artists/alder", "a.png", "alder, tree")
    return shop.done()


@pytest.fixture
def folder(tmp_path):
    return tmp_path / "out"
