import os
import shutil
from pathlib import Path

import pytest
from painted_sets import painted, run_flatten, save

from pipeline.errors import PrepError
from pipeline.manifest import Manifest
from pipeline.stages import flatten


def placed(manifest, root):
    return {
        Path(path).relative_to(root).as_posix(): (row.value, row.reason)
        for path, row in manifest.decisions("placed").items()
        if Path(path).is_relative_to(root)
    }


def tree(root):
    return {path.relative_to(root).as_posix(): path.read_bytes() for path in root.rglob("*") if path.is_file()}


def test_every_file_of_the_sources_has_one_row_and_every_picture_a_place(flattened, source):
    assert placed(flattened, source) == {
        "characters/Lumi/a.png": ("images/characters~Lumi/a.png", "placed"),
        "characters/Lumi/b.png": ("images/characters~Lumi/b.png", "placed"),
        "characters/Quill/a.png": ("images/characters~Quill/a.png", "placed"),
        "artists/alder/x.png": ("images/artists~alder/x.png", "placed"),
        "artists/alder/y.png": ("images/artists~alder/y.png", "placed"),
        "characters/Lumi/a.txt": ("images/characters~Lumi/a.txt", "caption taken in"),
        "characters/readme.md": (None, "not a picture"),
    }
    for image in flattened.images():
        assert (flattened.root / image.path).samefile(image.source) and image.link == "hardlink"


def test_the_originals_are_untouched_and_running_twice_changes_nothing(flattened, source):
    before, in_set = tree(source), tree(flattened.root / "images")
    again = run_flatten(flattened, source)
    assert again.fresh
    options = flatten.Options(sources=(source,))
    plan = flatten.plan(flattened, options)
    assert not plan.links and not flattened.changes(plan.fields, plan.decisions) and plan.images == flattened.images()
    assert tree(source) == before and tree(flattened.root / "images") == in_set


def test_the_same_input_gives_the_same_plan(source, tmp_path):
    plans = []
    for name in ("one", "two"):
        manifest = Manifest.open(tmp_path / name, create=True)
        plans.append(flatten.plan(manifest, flatten.Options(sources=(source,))))
    assert plans[0] == plans[1]


def test_files_that_would_overwrite_each_other_get_numbers(source, tmp_path):
    other = tmp_path / "other"
    save(painted(20), source / "characters/Lumi/a.webp")
    save(painted(21), source / "characters/Lumi/A.PNG")
    save(painted(22), other / "characters/Lumi/a.png")
    manifest = Manifest.open(tmp_path / "set", create=True)
    run_flatten(manifest, source, other)
    paths = [image.path for image in manifest.images() if image.concept == "characters/Lumi"]
    assert sorted(paths) == [
        "images/characters~Lumi/A.png",
        "images/characters~Lumi/a (2).png",
        "images/characters~Lumi/a (3).webp",
        "images/characters~Lumi/a (4).png",
        "images/characters~Lumi/b.png",
    ]
    assert placed(manifest, other)["characters/Lumi/a.png"][1] == "renamed, name taken"
    for image in manifest.images():
        assert (manifest.root / image.path).read_bytes() == Path(image.source).read_bytes()


def test_a_picture_keeps_its_place_when_others_come_before_it(flattened, source):
    before = {image.source: image.path for image in flattened.images()}
    save(painted(30), source / "characters/Lumi/a.jpg")
    run_flatten(flattened, source)
    after = {image.source: image.path for image in flattened.images()}
    assert before.items() <= after.items()
    assert after[str(source / "characters/Lumi/a.jpg")] == "images/characters~Lumi/a (2).jpg"


def test_pictures_in_a_folder_with_folders_are_a_concept_of_their_own(flattened, source):
    save(painted(31), source / "characters/both.png")
    run_flatten(flattened, source)
    assert "images/characters/both.png" in {image.path for image in flattened.images()}


def test_a_tilde_in_a_folder_is_not_a_slash(flattened, source):
    save(painted(32), source / "a~b/c.png")
    save(painted(33), source / "a/b/c.png")
    run_flatten(flattened, source)
    concepts = {image.path: image.concept for image in flattened.images()}
    assert concepts["images/a%7Eb/c.png"] == "a~b" and concepts["images/a~b/c.png"] == "a/b"


def test_repeats_are_taken_off_folder_names_unless_told_otherwise(tmp_path):
    save(painted(1), tmp_path / "src/24_fanart~Lumi/a.png")
    save(painted(2), tmp_path / "src/2_group/inner/a.png")
    manifest = Manifest.open(tmp_path / "set", create=True)
    outcome = run_flatten(manifest, tmp_path / "src")
    assert {image.concept for image in manifest.images()} == {"fanart/Lumi", "2_group/inner"}
    assert any("24_fanart~Lumi → fanart/Lumi" in note for note in outcome.plan.notes)
    run_flatten(manifest, tmp_path / "src", repeats_in_names=False)
    assert {image.concept for image in manifest.images()} == {"24_fanart~Lumi", "2_group/inner"}


def test_names_that_windows_cannot_hold_are_made_safe(tmp_path):
    save(painted(1), tmp_path / "src/who: me?/con.png")
    manifest = Manifest.open(tmp_path / "set", create=True)
    run_flatten(manifest, tmp_path / "src")
    (image,) = manifest.images()
    assert image.path == "images/who_ me_/_con.png" and image.concept == "who: me?"
    assert placed(manifest, tmp_path / "src")["who: me?/con.png"][1] == "renamed, unsafe name"


def test_a_very_long_concept_still_fits_a_file_system(tmp_path):
    deep = tmp_path / "src" / ("長い名前" * 10) / ("長い名前" * 10) / ("x" * 90)
    save(painted(1), deep / "a.png")
    manifest = Manifest.open(tmp_path / "set", create=True)
    run_flatten(manifest, tmp_path / "src")
    assert (manifest.root / manifest.images()[0].path).exists()


def test_a_caption_comes_along_as_a_persons_and_byte_order_marks_go(flattened, source):
    assert flattened.captions()["images/characters~Lumi/a.png"][2] == "lumi, 1girl"
    (source / "characters/Lumi/b.txt").write_bytes(b"\xef\xbb\xbfb, caption\r\n")
    run_flatten(flattened, source)
    assert flattened.captions()["images/characters~Lumi/b.png"][2] == "b, caption"
    assert (flattened.root / "images/characters~Lumi/b.txt").read_text(encoding="utf-8") == "b, caption\n"


@pytest.mark.parametrize(
    ("content", "reason"), [(b"\xff\xfe1\0", "caption is not UTF-8"), (b" \n", "caption is empty")]
)
def test_a_caption_that_cannot_be_taken_is_a_row_and_stays_as_it_is(flattened, source, content, reason):
    file = source / "characters/Lumi/b.txt"
    file.write_bytes(content)
    run_flatten(flattened, source)
    assert placed(flattened, source)["characters/Lumi/b.txt"] == (None, reason)
    assert file.read_bytes() == content and "images/characters~Lumi/b.png" not in flattened.captions()


def test_a_text_without_a_picture_is_a_row(flattened, source):
    (source / "characters/Lumi/prompt.txt").write_text("x", encoding="utf-8")
    run_flatten(flattened, source)
    assert placed(flattened, source)["characters/Lumi/prompt.txt"] == (None, "text without a picture")


def test_a_caption_edited_in_the_set_wins_over_the_sources(flattened, source):
    with flattened.transaction():
        flattened.put_human_caption("images/characters~Lumi/a.png", "edited")
    (source / "characters/Lumi/a.txt").write_text("changed", encoding="utf-8")
    run_flatten(flattened, source)
    assert flattened.captions()["images/characters~Lumi/a.png"][2] == "edited"
    assert placed(flattened, source)["characters/Lumi/a.txt"][1] == "caption in the set differs and stays"


def test_a_caption_that_prep_wrote_gives_way_to_one_that_comes_with_the_source(flattened, source):
    path = "images/characters~Lumi/b.png"
    (flattened.root / path).with_suffix(".txt").write_text("made by prep\n", encoding="utf-8")
    with flattened.transaction():
        flattened.intend_caption(path, "made by prep")
        flattened.caption_written(path, "made by prep")
    (source / "characters/Lumi/b.txt").write_text("by hand", encoding="utf-8")
    run_flatten(flattened, source)
    assert flattened.captions()[path][2] == "by hand"


def test_a_picture_lost_from_the_set_is_brought_back(flattened, source):
    path = flattened.root / "images/artists~alder/x.png"
    path.unlink()
    assert "x.png" in flatten.missing(flattened, flatten.Options(sources=(source,)))
    assert not run_flatten(flattened, source).fresh
    assert path.exists() and run_flatten(flattened, source).fresh


def test_a_picture_edited_in_the_set_stays_edited(flattened, source):
    path = flattened.root / "images/artists~alder/x.png"
    path.unlink()
    save(painted(77, 2), path)
    edited = path.read_bytes()
    for _ in range(2):
        run_flatten(flattened, source)
        assert path.read_bytes() == edited
        assert placed(flattened, source)["artists/alder/x.png"][1] == "edited in the set"
        save(painted(50), source / "new" / "picture.png")


def test_a_source_that_changed_is_brought_again(flattened, source):
    file = source / "artists/alder/x.png"
    file.unlink()
    save(painted(78, 2), file)
    run_flatten(flattened, source)
    assert (flattened.root / "images/artists~alder/x.png").read_bytes() == file.read_bytes()


def test_a_picture_whose_source_vanished_stays_and_its_row_says_so(flattened, source):
    (source / "artists/alder/x.png").unlink()
    for _ in range(2):
        plan = run_flatten(flattened, source, repeats_in_names=bool(_)).plan
        assert placed(flattened, source)["artists/alder/x.png"] == ("images/artists~alder/x.png", "source vanished")
        assert "pictures that stay in the set though their source is gone: 1" in plan.notes
    (flattened.root / "images/artists~alder/x.png").unlink()
    for _ in range(2):
        run_flatten(flattened, source, repeats_in_names=bool(_))
        assert placed(flattened, source)["artists/alder/x.png"] == (None, "source vanished")
    assert "images/artists~alder/x.png" not in {image.path for image in flattened.images()}


def test_a_picture_that_moved_to_another_concept_moves_with_its_caption(flattened, source):
    (source / "characters/Lumi/a.txt").unlink()
    shutil.move(source / "characters/Lumi/a.png", source / "artists/alder/moved.png")
    run_flatten(flattened, source)
    paths = {image.path: image.concept for image in flattened.images()}
    assert paths["images/artists~alder/moved.png"] == "artists/alder" and "images/characters~Lumi/a.png" not in paths
    assert placed(flattened, source)["characters/Lumi/a.png"] == (None, "moved")
    assert flattened.captions()["images/artists~alder/moved.png"][2] == "lumi, 1girl"


def test_a_whole_source_folder_may_go_once_the_set_has_its_pictures(flattened, source):
    shutil.rmtree(source)
    run_flatten(flattened, source)
    assert len(flattened.images()) == 5
    assert {row.reason for row in flattened.decisions("placed").values()} == {"source vanished"}


def test_a_source_that_was_never_there_is_an_error(flattened, tmp_path):
    with pytest.raises(PrepError, match=r"no folder .*typo"):
        run_flatten(flattened, tmp_path / "typo")
    with pytest.raises(PrepError, match="no source folders"):
        run_flatten(flattened)


def test_pictures_of_a_source_no_longer_listed_leave_the_set_but_not_the_disk(flattened, source, tmp_path):
    save(painted(60), tmp_path / "other/z.png")
    run_flatten(flattened, tmp_path / "other")
    assert [image.concept for image in flattened.images()] == ["other"]
    assert placed(flattened, source)["artists/alder/x.png"] == (None, "no longer among the sources")
    assert (flattened.root / "images/artists~alder/x.png").exists()


def test_a_file_that_a_person_put_into_the_set_is_never_overwritten(source, tmp_path):
    mine = save(painted(99), tmp_path / "set/images/artists~alder/x.png").read_bytes()
    manifest = Manifest.open(tmp_path / "set", create=True)
    notes = run_flatten(manifest, source).plan.notes
    assert (tmp_path / "set/images/artists~alder/x.png").read_bytes() == mine
    assert "images/artists~alder/x (2).png" in {image.path for image in manifest.images()}
    assert any("images/artists~alder/x.png; put them in a source folder: 1" in note for note in notes)


def test_where_no_hard_link_can_be_made_the_picture_is_copied(source, tmp_path, monkeypatch):
    def link(*_):
        raise OSError(18, "Invalid cross-device link")

    monkeypatch.setattr(os, "link", link)
    manifest = Manifest.open(tmp_path / "set", create=True)
    run_flatten(manifest, source)
    assert {image.link for image in manifest.images()} == {"copy"}
    assert run_flatten(manifest, source).fresh


def test_an_unchanged_file_is_hashed_once(flattened, source, monkeypatch):
    monkeypatch.setattr(flatten, "file_digest", lambda path: pytest.fail(f"{path} was hashed again"))
    flatten.measure(flattened, flatten.Options(sources=(source,)), lambda *_: None)
    assert flatten.plan(flattened, flatten.Options(sources=(source,))).links == ()


def test_a_set_inside_its_source_does_not_swallow_itself(source):
    manifest = Manifest.open(source / "set", create=True)
    run_flatten(manifest, source)
    assert len(manifest.images()) == 5
    assert run_flatten(manifest, source).fresh
