"""Every file of the sources has one row, and every image a place of its own."""

import json
import os
from pathlib import Path

import pytest
from flattened_sets import placed, tree
from painted_sets import flatten_options, painted, run_flatten, save

from pipeline.stages import flatten
from pipeline.store.manifest import Manifest


def test_every_file_of_the_sources_has_one_row_and_every_image_a_place(flattened, source):
    assert placed(flattened, source) == {
        "characters/Lumi/a.png": ("images/characters~Lumi/a.png", "imported"),
        "characters/Lumi/b.png": ("images/characters~Lumi/b.png", "imported"),
        "characters/Quill/a.png": ("images/characters~Quill/a.png", "imported"),
        "artists/alder/x.png": ("images/artists~alder/x.png", "imported"),
        "artists/alder/y.png": ("images/artists~alder/y.png", "imported"),
        "characters/Lumi/a.txt": ("images/characters~Lumi/a.txt", "caption imported"),
        "characters/readme.md": (None, "not an image"),
    }
    for image in flattened.images():
        there = flattened.root / image.path
        assert there.read_bytes() == Path(image.source).read_bytes() and image.link in ("copy", "reflink")
        assert not there.samefile(image.source), "an editor that saves in place cannot reach the original"


def test_the_originals_are_untouched_and_running_twice_changes_nothing(flattened, source):
    before, in_set = tree(source), tree(flattened.root / "images")
    again = run_flatten(flattened, source)
    assert again.fresh
    options = flatten_options(source)
    plan = flatten.plan(flattened, options)
    assert not plan.links and not flattened.changes(plan.fields, plan.decisions) and plan.images == flattened.images()
    assert tree(source) == before and tree(flattened.root / "images") == in_set


def test_the_same_input_gives_the_same_plan(source, tmp_path):
    plans = []
    for name in ("one", "two"):
        manifest = Manifest.open(tmp_path / name, create=True)
        plans.append(flatten.plan(manifest, flatten_options(source)))
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


def test_an_image_keeps_its_place_when_others_come_before_it(flattened, source):
    before = {image.source: image.path for image in flattened.images()}
    save(painted(30), source / "characters/Lumi/a.jpg")
    run_flatten(flattened, source)
    after = {image.source: image.path for image in flattened.images()}
    assert before.items() <= after.items()
    assert after[str(source / "characters/Lumi/a.jpg")] == "images/characters~Lumi/a (2).jpg"


def test_images_in_a_folder_with_folders_are_a_concept_of_their_own(flattened, source):
    save(painted(31), source / "characters/both.png")
    run_flatten(flattened, source)
    assert "images/characters/both.png" in {image.path for image in flattened.images()}


def test_a_tilde_in_a_folder_is_not_a_slash(flattened, source):
    save(painted(32), source / "a~b/c.png")
    save(painted(33), source / "a/b/c.png")
    run_flatten(flattened, source)
    concepts = {image.path: image.concept for image in flattened.images()}
    assert concepts["images/a%7Eb/c.png"] == "a~b" and concepts["images/a~b/c.png"] == "a/b"


def test_repeats_are_taken_off_folder_names_unless_reported_otherwise(tmp_path):
    save(painted(1), tmp_path / "src/24_fanart~Lumi/a.png")
    save(painted(2), tmp_path / "src/2_group/inner/a.png")
    manifest = Manifest.open(tmp_path / "set", create=True)
    outcome = run_flatten(manifest, tmp_path / "src")
    assert {image.concept for image in manifest.images()} == {"fanart/Lumi", "2_group/inner"}
    assert any("24_fanart~Lumi → fanart/Lumi" in note for note in outcome.plan.warnings)
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


def test_a_file_that_a_person_put_into_the_set_is_never_overwritten(source, tmp_path):
    mine = save(painted(99), tmp_path / "set/images/artists~alder/x.png").read_bytes()
    manifest = Manifest.open(tmp_path / "set", create=True)
    warnings = run_flatten(manifest, source).plan.warnings
    assert (tmp_path / "set/images/artists~alder/x.png").read_bytes() == mine
    assert "images/artists~alder/x (2).png" in {image.path for image in manifest.images()}
    assert any("images/artists~alder/x.png; put them in a source folder: 1" in note for note in warnings)


def test_an_unchanged_file_is_hashed_once(flattened, source, monkeypatch):
    monkeypatch.setattr(
        "pipeline.sources.known_contents.digest_if_readable", lambda path: pytest.fail(f"{path} was hashed again")
    )
    flatten.measure(flattened, flatten_options(source), lambda *_: None)
    assert flatten.plan(flattened, flatten_options(source)).links == ()


def test_a_set_inside_its_source_does_not_swallow_itself(source):
    manifest = Manifest.open(source / "set", create=True)
    run_flatten(manifest, source)
    assert len(manifest.images()) == 5
    assert run_flatten(manifest, source).fresh


def test_names_composed_otherwise_never_overwrite_each_other(tmp_path):
    composed, decomposed = "caf\u00e9.png", "cafe\u0301.png"
    save(painted(1, 0.3), tmp_path / "src/a" / composed)
    save(painted(2, 0.3), tmp_path / "src/a" / decomposed)
    if len(list((tmp_path / "src/a").iterdir())) < 2:
        pytest.skip("this file system takes them for one name")
    manifest = Manifest.open(tmp_path / "set", create=True)
    run_flatten(manifest, tmp_path / "src")
    assert [image.path for image in manifest.images()] == ["images/a/caf\u00e9 (2).png", "images/a/caf\u00e9.png"]


def test_many_images_of_one_name_are_numbered_without_trying_every_number_again(tmp_path, monkeypatch):
    rows = [{"file_name": f"{number}/1.png", "concept": "all"} for number in range(300)]
    for number in range(300):
        folder = tmp_path / f"src/{number}"
        folder.mkdir(parents=True)
        (folder / "1.png").write_bytes(b"%d" % number)
    (tmp_path / "src/metadata.jsonl").write_text("\n".join(map(json.dumps, rows)))
    asked = []
    real = os.path.lexists
    monkeypatch.setattr(os.path, "lexists", lambda path: asked.append(path) or real(path))
    plan = flatten.plan(Manifest.open(tmp_path / "set", create=True), flatten_options(tmp_path / "src"))
    assert len({image.path for image in plan.images}) == 300 and {image.concept for image in plan.images} == {"all"}
    assert len(asked) <= 600
