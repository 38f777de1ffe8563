import os

import pytest

from pipeline.files import file_digest, link_file, replacing, same_content, write_text


def test_a_file_is_written_whole_or_not_at_all(tmp_path):
    target = tmp_path / "deep/a.txt"
    write_text(target, "one\n")
    with pytest.raises(ZeroDivisionError), replacing(target) as temporary:
        temporary.write_text("half")
        raise ZeroDivisionError
    assert target.read_bytes() == b"one\n" and [path.name for path in target.parent.iterdir()] == ["a.txt"]


def test_a_link_is_made_once_and_a_copy_where_it_cannot_be(tmp_path, monkeypatch):
    source = tmp_path / "a"
    source.write_bytes(b"content")
    assert link_file(source, tmp_path / "x/b") == link_file(source, tmp_path / "x/b") == "hardlink"
    monkeypatch.setattr(os, "link", lambda *_: (_ for _ in ()).throw(OSError(18, "cross-device")))
    assert link_file(source, tmp_path / "x/c") == link_file(source, tmp_path / "x/c") == "copy"
    assert (tmp_path / "x/c").read_bytes() == b"content" and source.read_bytes() == b"content"


def test_content_is_compared_by_bytes(tmp_path):
    for name, content in (("a", b"one"), ("b", b"one"), ("c", b"two")):
        (tmp_path / name).write_bytes(content)
    assert same_content(tmp_path / "a", tmp_path / "b") and not same_content(tmp_path / "a", tmp_path / "c")
    assert not same_content(tmp_path / "a", tmp_path / "gone")
    assert file_digest(tmp_path / "a") == "7692c3ad3540bb803c020b3aee66cd8887123234ea0c6e7143c0add73ff431ed"
