import json
import os
import shutil
from pathlib import Path

import pytest
from decided import decided
from messy_tree import plant
from painted_sets import flatten_options, painted, run_flatten, save
from platforms import needs_symlinks

from pipeline.core import disk_space
from pipeline.core.errors import PrepError
from pipeline.core.filenames import safe, same_file_key
from pipeline.sources import room
from pipeline.stages import flatten
from pipeline.store.caption_files import write_captions
from pipeline.store.manifest import Manifest
from pipeline.store.wording import figures, phrase


def placed(manifest, root):
    return {
        Path(path).relative_to(root).as_posix(): (row.value, phrase(row))
        for path, row in manifest.decisions("imported").items()
        if Path(path).is_relative_to(root)
    }


def tree(root):
    return {path.relative_to(root).as_posix(): path.read_bytes() for path in root.rglob("*") if path.is_file()}


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


def test_a_caption_comes_along_as_a_persons_and_byte_order_marks_go(flattened, source):
    assert flattened.manual_captions()["images/characters~Lumi/a.png"] == "lumi, 1girl\n"
    (source / "characters/Lumi/b.txt").write_bytes(b"\xef\xbb\xbfb, caption\r\n")
    run_flatten(flattened, source)
    assert flattened.manual_captions()["images/characters~Lumi/b.png"] == "b, caption\r\n"
    assert (flattened.root / "images/characters~Lumi/b.txt").read_bytes() == b"b, caption\r\n"


@pytest.mark.parametrize(
    ("content", "reason"), [(b"\xff\xfe1\0", "caption is not UTF-8"), (b" \n", "caption is empty")]
)
def test_a_caption_that_cannot_be_taken_is_a_row_and_stays_as_it_is(flattened, source, content, reason):
    file = source / "characters/Lumi/b.txt"
    file.write_bytes(content)
    run_flatten(flattened, source)
    assert placed(flattened, source)["characters/Lumi/b.txt"] == (None, reason)
    assert file.read_bytes() == content and "images/characters~Lumi/b.png" not in flattened.manual_captions()


def test_a_text_without_an_image_is_a_row(flattened, source):
    (source / "characters/Lumi/prompt.txt").write_text("x", encoding="utf-8")
    run_flatten(flattened, source)
    assert placed(flattened, source)["characters/Lumi/prompt.txt"] == (None, "text without an image")


def test_a_caption_edited_in_the_set_wins_over_the_sources(flattened, source):
    (flattened.root / "images/characters~Lumi/a.txt").write_text("edited", encoding="utf-8")
    (source / "characters/Lumi/a.txt").write_text("changed", encoding="utf-8")
    run_flatten(flattened, source)
    assert flattened.manual_captions()["images/characters~Lumi/a.png"] == "edited"
    assert placed(flattened, source)["characters/Lumi/a.txt"][1] == "caption in the set differs and stays"


def test_a_caption_that_prep_wrote_gives_way_to_one_that_comes_with_the_source(flattened, source):
    path = "images/characters~Lumi/b.png"
    with flattened.transaction():
        flattened.put_rows(0, [decided(path, "caption", "made by prep")])
    write_captions(flattened, 0)
    (source / "characters/Lumi/b.txt").write_text("by hand", encoding="utf-8")
    run_flatten(flattened, source)
    assert flattened.manual_captions()[path] == "by hand"


def test_an_image_lost_from_the_set_is_brought_back(flattened, source):
    path = flattened.root / "images/artists~alder/x.png"
    path.unlink()
    assert "x.png" in flatten.missing(flattened, flatten_options(source))
    assert not run_flatten(flattened, source).fresh
    assert path.exists() and run_flatten(flattened, source).fresh


def test_an_image_edited_in_the_set_stays_edited(flattened, source):
    path = flattened.root / "images/artists~alder/x.png"
    path.unlink()
    save(painted(77, 2), path)
    edited = path.read_bytes()
    for _ in range(2):
        run_flatten(flattened, source)
        assert path.read_bytes() == edited
        assert placed(flattened, source)["artists/alder/x.png"][1] == "edited in the set"
        save(painted(50), source / "new" / "image.png")


def test_a_source_that_changed_is_brought_again(flattened, source):
    file = source / "artists/alder/x.png"
    file.unlink()
    save(painted(78, 2), file)
    run_flatten(flattened, source)
    assert (flattened.root / "images/artists~alder/x.png").read_bytes() == file.read_bytes()


def test_an_image_whose_source_vanished_stays_and_its_row_says_so(flattened, source):
    (source / "artists/alder/x.png").unlink()
    for _ in range(2):
        plan = run_flatten(flattened, source, repeats_in_names=bool(_)).plan
        assert placed(flattened, source)["artists/alder/x.png"] == ("images/artists~alder/x.png", "source vanished")
        assert "images that stay in the set though their source is gone; --prune takes them out: 1" in plan.warnings
    (flattened.root / "images/artists~alder/x.png").unlink()
    for _ in range(2):
        run_flatten(flattened, source, repeats_in_names=bool(_))
        assert placed(flattened, source)["artists/alder/x.png"] == (None, "source vanished")
    assert "images/artists~alder/x.png" not in {image.path for image in flattened.images()}


def test_an_image_that_moved_to_another_concept_moves_with_its_caption(flattened, source):
    (source / "characters/Lumi/a.txt").unlink()
    shutil.move(source / "characters/Lumi/a.png", source / "artists/alder/moved.png")
    run_flatten(flattened, source)
    paths = {image.path: image.concept for image in flattened.images()}
    assert paths["images/artists~alder/moved.png"] == "artists/alder" and "images/characters~Lumi/a.png" not in paths
    assert placed(flattened, source)["characters/Lumi/a.png"] == (None, "moved")
    assert flattened.manual_captions()["images/artists~alder/moved.png"] == "lumi, 1girl\n"


def test_a_whole_source_folder_may_go_once_the_set_has_its_images(flattened, source):
    shutil.rmtree(source)
    run_flatten(flattened, source)
    assert len(flattened.images()) == 5
    assert {phrase(row) for row in flattened.decisions("imported").values()} == {"source vanished"}


def test_a_source_that_was_never_there_is_an_error(flattened, tmp_path):
    with pytest.raises(PrepError, match=r"no folder .*typo"):
        run_flatten(flattened, tmp_path / "typo")
    with pytest.raises(PrepError, match="no source folders"):
        run_flatten(flattened)


def test_images_of_a_source_no_longer_listed_leave_the_set_but_not_the_disk(flattened, source, tmp_path):
    save(painted(60), tmp_path / "other/z.png")
    run_flatten(flattened, tmp_path / "other")
    assert [image.concept for image in flattened.images()] == ["other"]
    assert placed(flattened, source)["artists/alder/x.png"] == (None, "no longer among the sources")
    assert (flattened.root / "images/artists~alder/x.png").exists()


def test_a_file_that_a_person_put_into_the_set_is_never_overwritten(source, tmp_path):
    mine = save(painted(99), tmp_path / "set/images/artists~alder/x.png").read_bytes()
    manifest = Manifest.open(tmp_path / "set", create=True)
    warnings = run_flatten(manifest, source).plan.warnings
    assert (tmp_path / "set/images/artists~alder/x.png").read_bytes() == mine
    assert "images/artists~alder/x (2).png" in {image.path for image in manifest.images()}
    assert any("images/artists~alder/x.png; put them in a source folder: 1" in note for note in warnings)


def test_where_no_hard_link_can_be_made_the_image_is_copied(source, tmp_path, monkeypatch):
    def link(*_):
        raise OSError(18, "Invalid cross-device link")

    monkeypatch.setattr(os, "link", link)
    manifest = Manifest.open(tmp_path / "set", create=True)
    run_flatten(manifest, source)
    assert {image.link for image in manifest.images()} == {"copy"}
    assert run_flatten(manifest, source).fresh


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


def given(manifest):
    return {path: (row.value, phrase(row), figures(row)) for path, row in manifest.decisions("user_repeats").items()}


def test_repeats_of_names_and_multiply_txt_become_how_often_each_image_is_given(tmp_path):
    src = tmp_path / "src"
    for number, folder in enumerate(("24_Lumi", "3_Quill", "plain", "0_none", "plain/inner")):
        save(painted(number, 0.3), src / folder / f"{number}.png")
    (src / "3_Quill/multiply.txt").write_bytes(b"\xef\xbb\xbf 0.5 \r\n")
    (src / "plain/Multiply.txt").write_text("2")
    manifest = Manifest.open(tmp_path / "set", create=True)
    warnings = run_flatten(manifest, src).plan.warnings
    assert given(manifest) == {
        "images/Lumi/0.png": (24.0, "repeats in the folder's name", "24_Lumi"),
        "images/Quill/1.png": (0.5, "multiply.txt", "multiply.txt 0.5, before 3_Quill of the folder's name"),
        "images/plain/2.png": (2.0, "multiply.txt", "multiply.txt 2"),
    }
    assert placed(manifest, src)["3_Quill/multiply.txt"] == (None, "multiply.txt imported")
    assert any("folders named with 0 repeats" in note and "0_none" in note for note in warnings)
    assert manifest.manual_captions() == {} and run_flatten(manifest, src).fresh
    run_flatten(manifest, src, repeats_in_names=False)
    assert [row[1] for row in given(manifest).values()] == ["multiply.txt", "multiply.txt"]
    assert {image.concept for image in manifest.images()} == {"24_Lumi", "3_Quill", "plain", "0_none", "plain/inner"}


@pytest.mark.parametrize("text", ["0", "-1", "nan", "inf", "two", "", "1e400", "1,5"])
def test_a_multiply_txt_without_a_number_above_0_gives_nothing_and_is_reported(tmp_path, text):
    save(painted(1, 0.3), tmp_path / "src/24_Lumi/a.png")
    (tmp_path / "src/24_Lumi/multiply.txt").write_text(text)
    manifest = Manifest.open(tmp_path / "set", create=True)
    warnings = run_flatten(manifest, tmp_path / "src").plan.warnings
    assert given(manifest) == {}
    row = manifest.decisions("imported")[str(tmp_path / "src/24_Lumi/multiply.txt")]
    assert (phrase(row), figures(row)) == ("multiply.txt holds no number above 0", repr(text))
    assert "multiply.txt files without a number above 0, not used: 1" in warnings


def test_two_sources_that_give_one_concept_other_numbers_each_keep_theirs(tmp_path):
    save(painted(1, 0.3), tmp_path / "one/24_Lumi/a.png")
    save(painted(2, 0.3), tmp_path / "two/3_Lumi/b.png")
    manifest = Manifest.open(tmp_path / "set", create=True)
    run_flatten(manifest, tmp_path / "one", tmp_path / "two")
    assert {image.concept for image in manifest.images()} == {"Lumi"}
    assert [row[0] for row in given(manifest).values()] == [24.0, 3.0]


def test_settings_of_everydream_are_rows_and_no_captions(tmp_path):
    save(painted(1, 0.3), tmp_path / "src/a/flip_p.png")
    for name in ("cond_dropout.txt", "flip_p.txt", "loss_scale.txt", "batch_id.txt", "shuffle_tags.txt", "local.yaml"):
        (tmp_path / "src/a" / name).write_text("0.5")
    manifest = Manifest.open(tmp_path / "set", create=True)
    run_flatten(manifest, tmp_path / "src")
    reasons = [phrase(row) for row in manifest.decisions("imported").values()]
    assert reasons.count("EveryDream setting, not used") == 6 and manifest.manual_captions() == {}


def test_a_caption_that_changed_in_the_sources_is_taken_in_again_unless_it_was_edited_in_the_set(flattened, source):
    path = "images/characters~Lumi/a.png"
    (source / "characters/Lumi/a.txt").write_text("lumi, smile", encoding="utf-8")
    run_flatten(flattened, source)
    assert flattened.manual_captions()[path] == "lumi, smile"
    assert (flattened.root / path).with_suffix(".txt").read_text(encoding="utf-8") == "lumi, smile"


def test_an_image_whose_source_folder_moved_keeps_its_place_and_caption(flattened, source, tmp_path):
    before = {image.path: image.content for image in flattened.images()}
    (flattened.root / "images/characters~Lumi/b.txt").write_text("by hand", encoding="utf-8")
    moved = source.rename(tmp_path / "elsewhere")
    outcome = run_flatten(flattened, moved)
    assert {image.path: image.content for image in flattened.images()} == before and not outcome.plan.links
    assert all(image.source.startswith(str(moved)) for image in flattened.images())
    assert flattened.manual_captions()["images/characters~Lumi/b.png"] == "by hand"
    assert placed(flattened, source)["artists/alder/x.png"] == (None, "moved")
    plan = flatten.plan(flattened, flatten_options(moved))
    assert not flattened.changes(plan.fields, plan.decisions) and plan.images == flattened.images()


def test_how_images_come_into_the_set_can_be_chosen_and_changed_and_is_counted(flattened, source):
    outcome = run_flatten(flattened, source, link="copy")
    assert {image.link for image in flattened.images()} == {"copy"} and outcome.counts["linked:copy"] == 5
    assert not any((flattened.root / image.path).samefile(image.source) for image in flattened.images())
    assert run_flatten(flattened, source, link="copy").fresh
    assert run_flatten(flattened, source, link="hardlink").counts["linked:hardlink"] == 5
    assert all((flattened.root / image.path).samefile(image.source) for image in flattened.images())


@needs_symlinks
def test_a_link_that_leads_out_of_its_source_is_left_out_with_the_flag_to_type(flattened, source, tmp_path):
    outside = save(painted(50), tmp_path / "outside/o.png")
    (source / "artists/alder/out.png").symlink_to(outside)
    warnings = run_flatten(flattened, source).plan.warnings
    assert placed(flattened, source)["artists/alder/out.png"] == (None, "link leads out of its source")
    assert "links that lead out of their source, left out; to take them in give --follow-links: 1" in warnings
    run_flatten(flattened, source, follow_links=True)
    row = flattened.decisions("imported")[str(source / "artists/alder/out.png")]
    assert (row.value, figures(row)) == ("images/artists~alder/out.png", f"a link to {outside}")
    there = flattened.root / row.value
    assert there.read_bytes() == outside.read_bytes() and not there.is_symlink()


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


def test_every_file_of_a_messy_tree_is_accounted_for_and_nothing_is_lost_or_overwritten(tmp_path):
    src = plant(tmp_path / "messy")
    before = everything(src)
    manifest = Manifest.open(tmp_path / "set", create=True)
    outcome = run_flatten(manifest, src)
    rows = [row.path for row in outcome.plan.decisions if row.field == "imported"]
    assert len(rows) == len(set(rows))
    above = {row.path for row in outcome.plan.decisions if row.field == "imported" and row.value is None}
    for path in before:
        assert (path in rows) != any(path.startswith(f"{folder}{os.sep}") for folder in above), path
    images = manifest.images()
    assert len({same_file_key(str(Path(image.path).with_suffix(""))) for image in images}) == len(images) > 80
    for image in images:
        place = manifest.root / image.path
        assert place.read_bytes() == Path(image.source).read_bytes() and not place.is_symlink()
        assert safe(place.name) == place.name or len(place.name.encode()) > 200
    known = {image.path for image in images} | {
        Path(path).with_suffix(".txt").as_posix() for path in manifest.manual_captions()
    }
    there = {path for path in (manifest.root / "images").rglob("*") if path.is_file()}
    assert {path.relative_to(manifest.root).as_posix() for path in there} == known
    assert everything(src) == before
    assert run_flatten(manifest, src).fresh
    again = flatten.plan(manifest, flatten_options(src))
    assert not manifest.changes(again.fields, again.decisions) and again.images == images and not again.links


def test_the_reasons_in_a_messy_tree_are_reported(tmp_path):
    src = plant(tmp_path / "messy")
    manifest = Manifest.open(tmp_path / "set", create=True)
    run_flatten(manifest, src)
    found = placed(manifest, src)
    assert {name: found[name][1] for name in found if name.startswith(("odd/", "sidecars/", "archives/"))} == {
        "odd/lies.jpg": "imported",
        "odd/noname": "extension from content",
        "odd/odd.dat": "extension from content",
        "odd/text.png": "imported",
        "odd/empty.png": "imported",
        "odd/half.jpg": "imported",
        "odd/notes.pdf": "not an image",
        "odd/Makefile": "not an image",
        "odd/.DS_Store": "hidden",
        "odd/Thumbs.db": "not an image",
        **dict.fromkeys((f"sidecars/{stem}.png" for stem in "abcdefgh"), "imported"),
        "sidecars/a.webp": "renamed, name taken",
        "sidecars/a.txt": "caption imported",
        "sidecars/b.txt": "caption is not UTF-8",
        "sidecars/b.caption": "caption imported",
        "sidecars/c.txt": "caption is empty",
        "sidecars/d.png.txt": "caption imported",
        "sidecars/e.TXT": "caption imported",
        "sidecars/lonely.txt": "text without an image",
        "sidecars/a.json": "tags imported",
        "sidecars/f.png.json": "json not used",
        "sidecars/g.json": "json not used",
        "sidecars/alone.json": "metadata not used",
        "sidecars/meta_cap.json": "metadata imported",
        "sidecars/metadata.jsonl": "metadata names no image",
        "sidecars/list.csv": "metadata not used",
        "sidecars/multiply.txt": "multiply.txt imported",
        "sidecars/cond_dropout.txt": "EveryDream setting, not used",
        "sidecars/deep/multiply.txt": "multiply.txt holds no number above 0",
        "archives/pictures.zip": "archive; name it as a source to use it",
        "archives/shard.TAR": "archive; name it as a source to use it",
        "archives/other.7z": "archive of a kind that is not read",
    }
    assert manifest.manual_captions()["images/sidecars/a (2).webp"] == "both images of this stem"
    assert manifest.manual_captions()["images/sidecars/h.png"] == "from kohya's table"
    if "links/loop" in found:
        links = {
            name.removeprefix("links/"): reason for name, (_, reason) in found.items() if name.startswith("links/")
        }
        assert links == {
            "loop": "link loop",
            "self.png": "link loop",
            "broken.png": "broken link",
            "outside": "link leads out of its source",
            "passwd.png": "link leads out of its source",
            "inside.png": "imported",
            "again": "folder read already",
        }


def everything(root):
    """Every file, link and special file below a folder, with the bytes of plain files."""
    return {
        str(path).encode("utf-8", "backslashreplace").decode(): path.read_bytes()
        if path.is_file() and not path.is_symlink()
        else b""
        for path in root.rglob("*")
        if path.is_symlink() or not path.is_dir()
    }


def test_an_image_whose_source_vanished_is_still_given_what_its_folder_said(tmp_path):
    save(painted(1, 0.3), tmp_path / "src/24_Lumi/a.png")
    save(painted(2, 0.3), tmp_path / "src/24_Lumi/b.png")
    manifest = Manifest.open(tmp_path / "set", create=True)
    run_flatten(manifest, tmp_path / "src")
    (tmp_path / "src/24_Lumi/a.png").unlink()
    run_flatten(manifest, tmp_path / "src")
    assert [row[0] for row in given(manifest).values()] == [24.0, 24.0]


def test_copies_that_do_not_fit_are_refused_before_anything_is_copied_and_links_are_told(source, tmp_path, monkeypatch):
    manifest = Manifest.open(tmp_path / "small", create=True)
    usage = shutil.disk_usage(tmp_path)._replace(free=1000)
    monkeypatch.setattr(disk_space.shutil, "disk_usage", lambda path: usage)
    monkeypatch.setattr(room, "shares_blocks", lambda folder: False)
    with pytest.raises(PrepError, match=r"5 images of .* are to be copied into .*, where 1 kB are free") as caught:
        run_flatten(manifest, source)
    assert "--link hardlink" in caught.value.hint and not (tmp_path / "small/images").exists()
    outcome = run_flatten(manifest, source, link="hardlink")
    assert any("5 images are the originals themselves, by hardlink" in words for words in outcome.plan.warnings)
    monkeypatch.setattr(room, "TOLD", 1)
    monkeypatch.undo()
    monkeypatch.setattr(room, "TOLD", 1)
    monkeypatch.setattr(room, "shares_blocks", lambda folder: False)
    told = run_flatten(Manifest.open(tmp_path / "large", create=True), source).plan.info
    assert any("5 images are copied into the set" in words and "originals stay untouched" in words for words in told)
