import os
from pathlib import Path

import pytest
from decided import said
from painted_sets import painted, save
from PIL import Image
from platforms import needs_symlinks

from pipeline.core.errors import PrepError
from pipeline.sources.scan import scan
from pipeline.sources.source_file import image_extension, kind_of, sniffed


def problems(root):
    return {Path(found.path).name: said(found.problem) for found in map(sniffed, scan([root])) if said(found.problem)}


def test_concepts_are_folder_paths_and_loose_images_make_one_of_the_sources_name(source):
    save(painted(9), source / "loose.png")
    found = {(each.concept, Path(each.path).name): each.kind for each in scan([source])}
    assert found["characters/Lumi", "a.png"] == "image" and found["source", "loose.png"] == "image"
    assert found["characters/Lumi", "a.txt"] == "caption" and found["characters", "readme.md"] == "unknown"


@needs_symlinks
def test_whatever_cannot_be_brought_is_reported_why(tmp_path):
    root = tmp_path / "root"
    root.mkdir()
    (root / "gone.png").symlink_to(tmp_path / "nowhere")
    (root / "loop").symlink_to(root)
    (root / "self").symlink_to(root / "self")
    os.mkfifo(root / "pipe.png")
    (root / ".DS_Store").write_bytes(b"x")
    (root / "warnings.pdf").write_bytes(b"%PDF-1.7")
    (root / "inner").mkdir()
    (root / "inner" / "manifest.db").write_bytes(b"")
    assert problems(root) == {
        "gone.png": "broken link",
        "loop": f"link loop: back to {root}",
        "self": "link loop",
        "pipe.png": "not a regular file",
        ".DS_Store": "hidden",
        "warnings.pdf": "not an image",
        "inner": "a set of prep",
    }


@needs_symlinks
def test_links_that_lead_in_circles_through_two_folders_end(tmp_path):
    (tmp_path / "r/a").mkdir(parents=True)
    (tmp_path / "r/b").mkdir()
    (tmp_path / "r/a/x").symlink_to(tmp_path / "r/b")
    (tmp_path / "r/b/y").symlink_to(tmp_path / "r/a")
    assert problems(tmp_path / "r") == {
        "x": f"folder read already: as {tmp_path}/r/b",
        "y": f"folder read already: as {tmp_path}/r/a",
    }


@needs_symlinks
def test_many_folders_that_link_to_each_other_are_each_read_once(tmp_path):
    for one in range(12):
        save(painted(one, 0.2), tmp_path / f"r/{one}/a.png")
        for other in range(12):
            (tmp_path / f"r/{one}/to{other}").symlink_to(tmp_path / f"r/{other}")
    kinds = [found.kind for found in scan([tmp_path / "r"])]
    assert kinds.count("image") == 12 and len(kinds) == 12 + 144


@needs_symlinks
def test_a_link_is_followed_inside_its_source_and_out_of_it_only_when_reported_to(tmp_path):
    outside = save(painted(1, 0.2), tmp_path / "private/a.png")
    inside = save(painted(2, 0.2), tmp_path / "r/b/b.png")
    (tmp_path / "r/out.png").symlink_to(outside)
    (tmp_path / "r/folder").symlink_to(outside.parent)
    (tmp_path / "r/in.png").symlink_to(inside)
    leads_out = "link leads out of its source: to "
    assert problems(tmp_path / "r") == {
        "out.png": f"{leads_out}{outside}",
        "folder": f"{leads_out}{outside.parent}",
    }
    assert {found.path: found.file for found in scan([tmp_path / "r"])}[str(tmp_path / "r/in.png")] == str(inside)
    followed = {Path(found.path).relative_to(tmp_path).as_posix(): found for found in scan([tmp_path / "r"], True)}
    assert set(followed) == {"r/out.png", "r/in.png", "r/b/b.png", "r/folder/a.png"}
    assert followed["r/out.png"].place == str(outside) and not any(said(found.problem) for found in followed.values())


@pytest.mark.parametrize(
    ("name", "kind", "problem"),
    [
        ("A.JPG", "image", ""),
        ("a.Caption", "caption", ""),
        ("Multiply.txt", "number", ""),
        ("cond_dropout.txt", "", "EveryDream setting, not used"),
        ("meta.json", "data", ""),
        ("x.tar.gz", "", "archive; name it as a source to use it"),
        ("x.7z", "", "archive of a kind that is not read"),
        (".multiply.txt", "", "hidden"),
        ("Makefile", "unknown", ""),
    ],
)
def test_a_name_tells_the_kind(name, kind, problem):
    found, why = kind_of(name)
    assert (found, said(why)) == (kind, problem)


def test_scanning_opens_no_file(source, monkeypatch):
    (source / "unknown.dat").write_bytes(b"x")
    monkeypatch.setattr(Path, "open", lambda self, *_: pytest.fail(f"{self} was opened"))
    assert len(list(scan([source]))) == 8


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
    (tmp_path / os.fsdecode(b"caf\xe8.png")).write_bytes(b"x")
    found = list(scan([tmp_path]))
    assert [said(each.problem) for each in found] == ["name is not UTF-8"] * 2
    assert [each.path.rpartition("/")[2] for each in found] == [r"caf\udce8.png", r"caf\udce9.png"]
    assert all(each.path.encode() for each in found)


def test_an_image_without_an_images_name_is_known_by_its_content(tmp_path):
    painted(1).save(tmp_path / "noname", format="PNG")
    painted(1).save(tmp_path / "odd.dat", format="WEBP")
    found = {Path(each.path).name: sniffed(each) for each in scan([tmp_path])}
    assert {name: (each.kind, each.extension) for name, each in found.items()} == {
        "noname": ("image", ".png"),
        "odd.dat": ("image", ".webp"),
    }


@pytest.mark.parametrize(
    ("kind", "extension"),
    [
        ("PNG", ".png"),
        ("JPEG", ".jpg"),
        ("GIF", ".gif"),
        ("WEBP", ".webp"),
        ("BMP", ".bmp"),
        ("AVIF", ".avif"),
        ("TIFF", ".tif"),
    ],
)
def test_first_bytes_tell_the_kind(tmp_path, kind, extension):
    Image.new("RGB", (32, 32), "red").save(tmp_path / "x", format=kind)
    assert image_extension((tmp_path / "x").read_bytes()[:32]) == extension


def test_a_path_that_two_sources_reach_is_reported_once(source):
    found = list(scan([source, source / "characters"]))
    assert len(found) == len({each.path for each in found}) == 7 and not any(said(each.problem) for each in found)
    assert found == list(scan([source, source / "characters"]))


def test_a_set_is_no_source(flattened):
    with pytest.raises(PrepError, match="is a set, not a folder of source images"):
        list(scan([flattened.root]))
    with pytest.raises(PrepError, match="is a set"):
        list(scan([flattened.root / "images"]))


def test_of_a_runs_samples_those_of_the_base_model_and_the_sheet_are_not_taken(tmp_path):
    progress = tmp_path / "progress"
    for name in ("base/01.png", "step 000100/01.png", "grid.png"):
        save(painted(9), progress / name)
    taken = {Path(found.path).name for found in scan([progress]) if found.problem is None and found.kind == "image"}
    assert taken == {"01.png", "grid.png"} and problems(progress) == {}, "a folder of that name may be anybody's"
    (progress / "prompts.json").write_text("{}", encoding="utf-8")
    found = {Path(each.path).relative_to(progress).as_posix() for each in scan([progress]) if each.problem is None}
    assert found == {"step 000100/01.png", "prompts.json"}
    assert problems(progress) == {
        "base": "images that the base model made without the adapter, for comparison",
        "grid.png": "a sheet of sample images",
    }
    for name in ("1 girl seed 1 base.png", "1 girl seed 1 adapter.png", "samples.json"):
        save(painted(9), tmp_path / "samples" / name) if name.endswith("png") else (tmp_path / "samples" / name).touch()
    assert list(problems(tmp_path / "samples")) == ["1 girl seed 1 base.png"]
    assert problems(progress / "base") == {
        "base": "images that the base model made without the adapter, for comparison"
    }
