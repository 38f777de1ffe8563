"""A small prepared set, made without running the stages before training."""

from pathlib import Path

import pytest
from prepared_sets import prepared_set

from pipeline.store.values.repeats import Repeats


@pytest.fixture
def prepared(tmp_path: Path):
    """An open manifest with six images in two buckets, captions with the trigger Lumi, fractional repeats."""
    manifest = prepared_set(tmp_path / "set", [(24, 40), (32, 32)] * 3, Repeats(1.5, 1))
    yield manifest
    manifest.close()
