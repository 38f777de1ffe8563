import errno
import shutil
import subprocess
import sys
from collections import namedtuple

import pytest

from pipeline.core.disk_space import free_bytes, full_disk_told, refuse_full, size_of
from pipeline.core.errors import PrepError
from pipeline.core.files import replacing, write_bytes

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


def test_a_disk_that_gets_full_in_the_middle_is_told_with_the_file_and_leaves_what_was_there(tmp_path):
    file = tmp_path / "adapter.safetensors"
    write_bytes(file, b"before")
    with (
        pytest.raises(
            PrepError, match=r"adapter\.safetensors could not be written: No space left on device; .* are free"
        ),
        replacing(file) as temporary,
    ):
        temporary.write_bytes(b"half")
        raise OSError(errno.ENOSPC, "No space left on device")
    assert file.read_bytes() == b"before" and [each.name for each in tmp_path.iterdir()] == [file.name]


def test_a_file_that_is_known_not_to_fit_is_not_begun(tmp_path, monkeypatch):
    monkeypatch.setattr(shutil, "disk_usage", lambda path: Usage(10, 8, 100))
    with pytest.raises(PrepError, match=r"needs 101 bytes on the disk of .*, which has 100 bytes free"):
        write_bytes(tmp_path / "large", b"x" * 101)
    assert list(tmp_path.iterdir()) == []
    write_bytes(tmp_path / "fits", b"x" * 100)


def test_other_failures_of_writing_come_through_as_they_are(tmp_path):
    with pytest.raises(PermissionError), full_disk_told(tmp_path):
        raise PermissionError(errno.EACCES, "Permission denied")


@pytest.mark.skipif(sys.platform == "win32", reason="there is no limit on a file's size there")
def test_the_limit_on_a_files_size_is_told_like_a_full_disk(tmp_path):
    code = (
        "import resource, sys, pathlib; from pipeline.core.files import write_bytes\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (1000, 1000))\n"
        "from pipeline.core.errors import PrepError\n"
        "try: write_bytes(pathlib.Path(sys.argv[1]), b'x' * 5000)\n"
        "except PrepError as error: print(error.message)"
    )
    done = subprocess.run([sys.executable, "-c", code, str(tmp_path / "x")], capture_output=True, text=True, check=True)
    assert "x could not be written: File too large" in done.stdout and not (tmp_path / "x").exists()
