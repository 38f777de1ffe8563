import shutil
from collections import namedtuple

import pytest

from pipeline.core.disk_space import free_bytes, refuse_full, size_of
from pipeline.core.errors import PrepError

Usage = namedtuple("Usage", "total used free")


def test_what_does_not_fit_on_the_disk_is_refused_with_both_figures(tmp_path, monkeypatch):
    monkeypatch.setattr(shutil, "disk_usage", lambda path: Usage(10, 8, 2_000_000))
    file = tmp_path / "not" / "there" / "adapter.safetensors"
    refuse_full(file, 2_000_000)
    with pytest.raises(PrepError, match=r"the run needs 3 MB on the disk of .*, which has 2 MB free") as caught:
        refuse_full(file, 3_000_000, "the run")
    assert "make room on the disk" in caught.value.hint


def test_the_disk_of_a_path_that_is_not_there_is_that_of_its_parent(tmp_path):
    assert free_bytes(tmp_path / "a" / "b") > 0


def test_the_size_of_a_folder_is_that_of_its_files(tmp_path):
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "a").write_bytes(b"123")
    (tmp_path / "b").write_bytes(b"4567")
    assert (size_of(tmp_path), size_of(tmp_path / "b")) == (7, 4)
