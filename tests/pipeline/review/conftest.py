import shutil
from pathlib import Path

import pytest
from desks import Served, decided_set, served


@pytest.fixture(scope="session")
def one_set(tmp_path_factory) -> Path:
    """A set that no test changes."""
    return decided_set(tmp_path_factory.mktemp("desk"))


@pytest.fixture
def root(one_set, tmp_path) -> Path:
    """A copy of it for one test."""
    return Path(shutil.copytree(one_set, tmp_path / "set"))


@pytest.fixture(scope="session")
def reading(one_set) -> Served:
    """A desk for tests that only read."""
    with served(one_set) as desk:
        yield desk


@pytest.fixture
def desk(root) -> Served:
    """A desk of one test's own."""
    with served(root) as found:
        yield found
