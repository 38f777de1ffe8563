"""The hash of a large file is computed once and anew when the file changes."""

import pytest

from pipeline.core.errors import PrepError
from pipeline.core.files import file_digest
from train.models.loading import hashes
from train.models.loading.hashes import remembered_digest
from train.models.locate import folder_digest


def test_a_hash_is_computed_once_and_anew_when_the_file_changes(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setattr(hashes, "LARGE", 1)
    read = []
    monkeypatch.setattr(hashes, "file_digest", lambda path: read.append(path) or file_digest(path))
    file = tmp_path / "model.safetensors"
    file.write_bytes(b"abc")
    assert remembered_digest(file) == remembered_digest(file) == folder_digest(file) == file_digest(file)
    assert len(read) == 1
    file.write_bytes(b"abcd")
    assert remembered_digest(file) == file_digest(file) and len(read) == 2
    (note,) = (tmp_path / "cache").rglob("*.json")
    for damage in ("", "[]", '{"sha256": 3}', note.read_text(encoding="utf-8").replace('"size": 4', '"size": 5')):
        note.write_text(damage, encoding="utf-8")
        assert remembered_digest(file) == file_digest(file)
    assert len(read) == 6


def test_a_hash_that_cannot_be_remembered_is_computed_all_the_same(tmp_path, monkeypatch):
    blocked = tmp_path / "cache"
    blocked.write_text("no folder", encoding="utf-8")
    monkeypatch.setenv("XDG_CACHE_HOME", str(blocked))
    monkeypatch.setattr(hashes, "LARGE", 1)
    file = tmp_path / "model.safetensors"
    file.write_bytes(b"abc")
    assert remembered_digest(file) == file_digest(file)


def test_a_place_that_is_no_model_has_no_digest(tmp_path):
    with pytest.raises(PrepError, match="no model at"):
        folder_digest(tmp_path / "nothing" / "vae")
