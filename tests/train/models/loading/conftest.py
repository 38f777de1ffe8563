"""The tensors of tiny base models, and the shipped architectures made as small."""

import pytest
from single_files import NAMES
from tiny_models import single_tensors, tiny_family, tiny_pipeline


@pytest.fixture(scope="module")
def tensors():
    return {name: single_tensors(name, tiny_pipeline(name)) for name in NAMES}


@pytest.fixture
def tiny(monkeypatch, tmp_path):
    """The shipped architectures made tiny."""
    families = {name: tiny_family(name, tmp_path) for name in NAMES}
    monkeypatch.setattr("train.models.loading.single_file.FAMILIES", families)
