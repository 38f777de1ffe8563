import os
import sys
from pathlib import Path

import pytest
from platforms import needs_symlinks

from pipeline.core import links
from pipeline.core.errors import PrepError
from pipeline.core.links import file_system, link_file


@pytest.fixture
def file(tmp_path):
    path = tmp_path / "a.png"
    path.write_bytes(b"content")
    return path


def refuse(*_):
    raise OSError(18, "Invalid cross-device link")


def clone(source, target):
    Path(target).write_bytes(Path(source).read_bytes())


def test_auto_takes_a_clone_before_a_copy_and_never_a_link(file, tmp_path, monkeypatch):
    monkeypatch.setitem(links._MAKERS, "reflink", clone)
    assert link_file(file, tmp_path / "x/clone.png") == "reflink"
    assert not (tmp_path / "x/clone.png").samefile(file)
    monkeypatch.setitem(links._MAKERS, "reflink", refuse)
    assert link_file(file, tmp_path / "x/copy.png") == "copy" and not (tmp_path / "x/copy.png").samefile(file)
    assert link_file(file, tmp_path / "x/link.png", "hardlink") == "hardlink"
    assert {path.read_bytes() for path in (tmp_path / "x").iterdir()} == {b"content"}
    assert len(list((tmp_path / "x").iterdir())) == 3


@needs_symlinks
def test_what_is_there_already_stays(file, tmp_path):
    target = tmp_path / "b.png"
    assert link_file(file, target, "hardlink") == link_file(file, target, "hardlink") == "hardlink"
    assert link_file(file, target, "copy") == "copy" and not target.samefile(file)
    inode = target.stat().st_ino
    assert link_file(file, target, "copy") == link_file(file, target) == "copy" and target.stat().st_ino == inode
    assert link_file(file, target, "symlink") == link_file(file, target, "symlink") == "symlink" and target.is_symlink()
    assert link_file(file, target) == "copy" and not target.is_symlink(), "a link is not what auto makes"
    assert file.read_bytes() == b"content"


@needs_symlinks
def test_a_link_among_the_sources_is_followed_before_it_is_linked(file, tmp_path):
    (tmp_path / "link.png").symlink_to(file)
    for how in ("hardlink", "copy", "auto"):
        link_file(tmp_path / "link.png", tmp_path / f"{how}.png", how)
        assert not (tmp_path / f"{how}.png").is_symlink()
    link_file(tmp_path / "link.png", tmp_path / "s.png", "symlink")
    assert (tmp_path / "s.png").readlink() == file


def test_what_was_asked_for_by_name_and_cannot_be_done_is_an_error_that_leaves_the_target_alone(
    file, tmp_path, monkeypatch
):
    target = tmp_path / "b.png"
    target.write_bytes(b"before")
    monkeypatch.setattr(os, "link", refuse)
    monkeypatch.setattr(links, "file_system", lambda _: "file system fat")
    with pytest.raises(PrepError) as caught:
        link_file(file, target, "hardlink")
    assert caught.value.message == (
        f"{file} cannot be brought to {target} as a hardlink (file system fat): Invalid cross-device link"
    )
    assert "--link copy" in caught.value.hint
    assert target.read_bytes() == b"before" and len(list(tmp_path.iterdir())) == 2


def test_a_source_that_is_gone_is_reported_as_that(tmp_path):
    with pytest.raises(FileNotFoundError):
        link_file(tmp_path / "gone.png", tmp_path / "b.png")


@pytest.mark.skipif(sys.platform != "linux", reason="the table of mounts is Linux's")
def test_the_file_system_is_named_by_the_deepest_mount(monkeypatch):
    monkeypatch.setattr(links, "_mounts", lambda: [("/", "ext4"), ("/mnt/pictures", "btrfs"), ("/mnt", "xfs")])
    assert file_system(Path("/mnt/pictures/a/b.png")) == "file system btrfs"
    assert file_system(Path("/mnt/images2")) == "file system xfs"


@pytest.mark.skipif(sys.platform != "linux", reason="asks Linux to clone")
def test_a_clone_is_asked_for_with_both_files_and_falls_back_where_it_cannot_be(file, tmp_path, monkeypatch):
    import fcntl

    asked = []
    monkeypatch.setattr(fcntl, "ioctl", lambda to, request, source: asked.append(request))
    assert link_file(file, tmp_path / "b.png") == "reflink" and asked == [0x40049409]
    monkeypatch.setattr(fcntl, "ioctl", refuse)
    with pytest.raises(PrepError, match="as a reflink"):
        link_file(file, tmp_path / "c.png", "reflink")
    assert link_file(file, tmp_path / "c.png") == "copy"
