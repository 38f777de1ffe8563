import os
from pathlib import Path

import pytest
from painted_sets import painted, save
from PIL import Image

from pipeline.errors import PrepError
from pipeline.scan import picture_extension, scan


def problems(root):
    return {Path(found.path).name: found.problem for found in scan([root]) if found.problem}


def test_concepts_are_folder_paths_and_loose_pictures_make_one_of_the_sources_name(source):
    save(painted(9), source / "loose.png")
    found = {(each.concept, Path(each.path).name): each.kind for each in scan([source])}
    assert found["characters/Lumi", "a.png"] == "picture" and found["source", "loose.png"] == "picture"
    assert found["characters/Lumi", "a.txt"] == "caption" and found["characters", "readme.md"] == ""


def test_whatever_cannot_be_brought_is_told_why(tmp_path):
    root = tmp_path / "root"
    root.mkdir()
    (root / "gone.png").symlink_to(tmp_path / "nowhere")
    (root / "loop").symlink_to(root)
    os.mkfifo(root / "pipe.png")
    (root / ".DS_Store").write_bytes(b"x")
    (root / "notes.pdf").write_bytes(b"%PDF-1.7")
    (root / "inner").mkdir()
    (root / "inner" / "manifest.db").write_bytes(b"")
    assert problems(root) == {
        "gone.png": "broken link",
        "loop": "link loop",
        "pipe.png": "not a regular file",
        ".DS_Store": "hidden",
        "notes.pdf": "not a picture",
        "inner": "a set of prep",
    }


def test_links_that_lead_in_circles_through_two_folders_end(tmp_path):
    (tmp_path / "r/a").mkdir(parents=True)
    (tmp_path / "r/b").mkdir()
    (tmp_path / "r/a/x").symlink_to(tmp_path / "r/b")
    (tmp_path / "r/b/y").symlink_to(tmp_path / "r/a")
    assert set(problems(tmp_path / "r").values()) == {"link loop"}


def test_a_folder_that_cannot_be_read_is_a_row(source, monkeypatch):
    real = os.scandir

    def scandir(path):
        if str(path).endswith("Lumi"):
            raise PermissionError(13, "Permission denied", str(path))
        return real(path)

    monkeypatch.setattr(os, "scandir", scandir)
    assert problems(source)["Lumi"] == "folder cannot be read: Permission denied"


def test_a_name_that_is_not_utf8_is_a_row_that_can_be_stored(tmp_path):
    (tmp_path / os.fsdecode(b"caf\xe9.png")).write_bytes(b"x")
    (found,) = scan([tmp_path])
    assert found.problem == "name is not UTF-8"
    assert found.path.encode()


def test_a_picture_without_a_pictures_name_is_known_by_its_content(tmp_path):
    painted(1).save(tmp_path / "noname", format="PNG")
    painted(1).save(tmp_path / "odd.dat", format="WEBP")
    assert {Path(each.path).name: (each.kind, each.extension) for each in scan([tmp_path])} == {
        "noname": ("picture", ".png"),
        "odd.dat": ("picture", ".webp"),
    }


@pytest.mark.parametrize(
    ("kind", "extension"),
    [("PNG", ".png"), ("JPEG", ".jpg"), ("GIF", ".gif"), ("WEBP", ".webp"), ("BMP", ".bmp"), ("AVIF", ".avif")],
)
def test_first_bytes_tell_the_kind(tmp_path, kind, extension):
    Image.new("RGB", (32, 32), "red").save(tmp_path / "x", format=kind)
    assert picture_extension((tmp_path / "x").read_bytes()[:32]) == extension


def test_a_path_that_two_sources_reach_is_told_once(source):
    found = scan([source, source / "characters"])
    assert len(found) == len({each.path for each in found})
    assert found == scan([source, source / "characters"])


def test_a_set_is_no_source(flattened):
    with pytest.raises(PrepError, match="is a set, not a folder of source pictures"):
        scan([flattened.root])
    with pytest.raises(PrepError, match="is a set"):
        scan([flattened.root / "images"])
