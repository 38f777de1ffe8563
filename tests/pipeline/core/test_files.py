import pytest

from pipeline.core.files import file_digest, replacing, same_content, write_text


def test_a_file_is_written_whole_or_not_at_all(tmp_path):
    target = tmp_path / "deep/a.txt"
    write_text(target, "one\n")
    with pytest.raises(ZeroDivisionError), replacing(target) as temporary:
        temporary.write_text("half")
        raise ZeroDivisionError
    assert target.read_bytes() == b"one\n" and [path.name for path in target.parent.iterdir()] == ["a.txt"]


def test_content_is_compared_by_bytes(tmp_path):
    for name, content in (("a", b"one"), ("b", b"one"), ("c", b"two")):
        (tmp_path / name).write_bytes(content)
    assert same_content(tmp_path / "a", tmp_path / "b") and not same_content(tmp_path / "a", tmp_path / "c")
    assert not same_content(tmp_path / "a", tmp_path / "gone")
    assert file_digest(tmp_path / "a") == "7692c3ad3540bb803c020b3aee66cd8887123234ea0c6e7143c0add73ff431ed"
