"""A folder is brought to hold an export, and nothing of a person's is lost on the way."""

from __future__ import annotations

import json
import os
from dataclasses import replace

import pytest
from export_sets import BUCKET, LAYOUTS, Workshop, change, export, tree
from PIL import Image as Pillow
from platforms import needs_symlinks

from pipeline.core.decoding.image_io import load_cropped
from pipeline.core.errors import PrepError
from pipeline.export.record import FILE
from pipeline.store.values.repeats import Repeats


def stamps(folder):
    return {path: path.lstat().st_mtime_ns for path in sorted(folder.rglob("*"))}


@pytest.mark.parametrize("layout", LAYOUTS)
def test_only_kept_images_are_exported(manifest, folder, layout):
    change(manifest, "images/artists~alder/a.png", "keep", False)
    planned = export(manifest, folder, layout)
    assert planned.counts()["images"] == 2
    assert not any("alder" in path for path in tree(folder))


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("resize", (False, True))
def test_exporting_twice_touches_nothing(manifest, folder, layout, resize):
    export(manifest, folder, layout, resize=resize)
    before = stamps(folder)
    again = export(manifest, folder, layout, resize=resize)
    assert again.fresh and stamps(folder) == before
    assert len([run for run in manifest.runs() if run.stage == "export"]) == 1


def test_a_new_caption_is_the_only_file_that_is_written(manifest, folder):
    export(manifest, folder)
    before = stamps(folder)
    (manifest.root / "images/characters~Lumi/a.txt").write_text("lumi, frown\n", encoding="utf-8")
    planned = export(manifest, folder)
    caption = folder / "train/2_characters~Lumi/a.txt"
    assert [file.path for file in planned.changes.write] == ["train/2_characters~Lumi/a.txt"]
    assert caption.read_text(encoding="utf-8") == "lumi, frown\n"
    changed = {path for path, time in stamps(folder).items() if before.get(path) != time and path.is_file()}
    assert changed == {caption, folder / FILE}


def test_another_repeat_moves_a_folder_and_leaves_no_empty_one(manifest, folder):
    export(manifest, folder)
    for name in "ab":
        change(manifest, f"images/characters~Lumi/{name}.png", "repeats", Repeats(3.0, 3))
    export(manifest, folder)
    assert sorted(path.name for path in (folder / "train").iterdir()) == ["1_artists~alder", "3_characters~Lumi"]


@pytest.mark.parametrize("layout", LAYOUTS)
def test_what_a_person_added_stays_and_is_listed(manifest, folder, layout):
    export(manifest, folder, layout)
    (folder / "warnings.md").write_text("mine", encoding="utf-8")
    change(manifest, "images/artists~alder/a.png", "keep", False)
    planned = export(manifest, folder, layout)
    assert (folder / "warnings.md").read_text(encoding="utf-8") == "mine"
    assert planned.changes.strangers == ("warnings.md",)
    assert "files that prep did not write, left as they are: 1, such as warnings.md" in planned.warnings


def test_what_a_person_changed_stays_and_is_listed_each_time(manifest, folder):
    export(manifest, folder)
    caption = folder / "train/2_characters~Lumi/a.txt"
    caption.write_text("mine", encoding="utf-8")
    (manifest.root / "images/characters~Lumi/a.txt").write_text("lumi, frown\n", encoding="utf-8")
    for _ in range(2):
        planned = export(manifest, folder)
        assert caption.read_text(encoding="utf-8") == "mine"
        assert planned.changes.edited == ("train/2_characters~Lumi/a.txt",)
        assert any("a person changed since, left as they are: 1" in note for note in planned.warnings)


def test_a_changed_file_that_is_no_longer_wanted_stays(manifest, folder):
    export(manifest, folder)
    caption = folder / "train/1_artists~alder/a.txt"
    caption.write_text("mine", encoding="utf-8")
    change(manifest, "images/artists~alder/a.png", "keep", False)
    for _ in range(2):
        assert export(manifest, folder).changes.edited == ("train/1_artists~alder/a.txt",)
        assert caption.read_text(encoding="utf-8") == "mine"
        assert not caption.with_suffix(".png").exists()


def test_a_persons_file_or_folder_in_the_way_stays_and_is_listed(manifest, folder):
    change(manifest, "images/artists~alder/a.png", "keep", False)
    export(manifest, folder)
    (folder / "train/1_artists~alder").write_text("a file where a folder should be", encoding="utf-8")
    change(manifest, "images/artists~alder/a.png", "keep", True)
    planned = export(manifest, folder)
    assert planned.changes.in_the_way == ("train/1_artists~alder/a.png", "train/1_artists~alder/a.txt")
    assert any("as others stand in their place: 2" in note for note in planned.warnings)
    (folder / "train/1_artists~alder").unlink()
    (folder / "train/1_artists~alder/a.png").mkdir(parents=True)
    (folder / "train/1_artists~alder/a.png/mine.md").write_text("mine", encoding="utf-8")
    assert export(manifest, folder).changes.in_the_way == ("train/1_artists~alder/a.png",)


@needs_symlinks
def test_a_link_that_leads_out_of_the_folder_is_not_followed(manifest, folder, tmp_path):
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    change(manifest, "images/artists~alder/a.png", "keep", False)
    export(manifest, folder)
    (folder / "train/1_artists~alder").symlink_to(elsewhere)
    change(manifest, "images/artists~alder/a.png", "keep", True)
    assert len(export(manifest, folder).changes.in_the_way) == 2
    assert not list(elsewhere.iterdir())


def test_latents_of_another_trainer_are_reported_apart(manifest, folder):
    export(manifest, folder)
    (folder / "train/1_artists~alder/a_sd.npz").write_bytes(b"latents")
    assert any("latents that another trainer left here: 1" in note for note in export(manifest, folder).warnings)


# --- what the set must have


def test_images_lost_from_the_set_are_reported_before_anything_is_written(manifest, folder):
    (manifest.root / "images/artists~alder/a.png").unlink()
    with pytest.raises(PrepError, match=r"lost or were edited: 1, such as images/artists~alder/a\.png"):
        export(manifest, folder)
    assert not folder.exists()


def test_crops_need_buckets(tmp_path):
    shop = Workshop(tmp_path / "set")
    shop.add("x", bucket=None)
    with pytest.raises(PrepError, match="images without a training size: 1") as error:
        export(shop.done(), tmp_path / "out", resize=True)
    assert "prep bucket" in error.value.hint


def test_a_set_without_kept_images_is_reported(tmp_path):
    shop = Workshop(tmp_path / "set")
    shop.add("x", keep=False)
    with pytest.raises(PrepError, match=r"no image of .* is kept"):
        export(shop.done(), tmp_path / "out")


def test_missing_captions_and_repeats_are_reported(tmp_path):
    shop = Workshop(tmp_path / "set")
    shop.add("x", "a.png", caption=None, repeats=None)
    shop.add("x", "b.png", repeats=None, user_repeats=7.5)
    planned = export(shop.done(), tmp_path / "out")
    assert any(note.startswith("images without a caption: 1, such as images/x/a.png") for note in planned.warnings)
    assert any(note.startswith("images without repeats, shown once: 1") for note in planned.warnings)
    assert "prep balance has not seen 2 images: 1 are shown as often as their folders say" in planned.warnings
    assert {row["folder"] for row in planned.layout.table} == {"train/1_x", "train/7_x"}
    assert not (tmp_path / "out/train/1_x/a.txt").exists()


# --- links and crops


def test_hard_links_are_recognised_and_copies_made_when_asked_for(manifest, folder):
    image = manifest.root / "images/artists~alder/a.png"
    target = folder / "train/1_artists~alder/a.png"
    export(manifest, folder, links="hardlink")
    assert target.samefile(image)
    os.utime(image, ns=(1, 1))
    assert not export(manifest, folder, links="auto").changes.write
    assert export(manifest, folder, links="copy").counts()["new_or_changed"] == 3
    assert not target.samefile(image) and target.read_bytes() == image.read_bytes()
    assert export(manifest, folder, links="copy").fresh


@needs_symlinks
def test_symbolic_links_are_made_when_asked_for_and_stay(manifest, folder):
    export(manifest, folder, links="symlink")
    assert (folder / "train/1_artists~alder/a.png").is_symlink()
    assert not export(manifest, folder, links="symlink").changes.write


def test_resize_writes_the_very_pixels_that_are_trained_on(manifest, folder):
    export(manifest, folder, resize=True)
    image = manifest.root / "images/characters~Lumi/a.png"
    with Pillow.open(folder / "train/2_characters~Lumi/a.png") as crop:
        assert crop.size == (64, 64) and crop.format == "PNG"
        assert crop.tobytes() == load_cropped(image, BUCKET).tobytes()


def test_another_crop_is_written_anew(manifest, folder):
    export(manifest, folder, resize=True)
    moved = replace(BUCKET, crop=(0, 0, 64, 64))
    change(manifest, "images/artists~alder/a.png", "bucket", moved)
    planned = export(manifest, folder, resize=True)
    assert [file.path for file in planned.changes.write] == ["train/1_artists~alder/a.png"]


# --- the command


def test_a_preview_writes_nothing_and_says_what_would_be_written(manifest, folder, command):
    result = command("export", manifest.root, folder, "--layout", "kohya", "--dry-run")
    assert result.exit_code == 0, result.output
    assert not folder.exists() and not [run for run in manifest.runs() if run.stage == "export"]
    assert "write train/2_characters~Lumi/b.png" in result.stdout
    assert "nothing was written" in result.stderr


@pytest.mark.parametrize("layout", LAYOUTS)
def test_json_is_one_document_that_lists_every_file(manifest, folder, command, layout):
    result = command("export", manifest.root, folder, "--layout", layout, "--json")
    assert result.exit_code == 0, result.output
    document = json.loads(result.stdout)
    assert sorted(document["write"]) == sorted(tree(folder))
    assert document["counts"]["images"] == 3 and document["folder"] == str(folder) and not document["dry_run"]


def test_a_second_export_says_that_all_is_up_to_date(manifest, folder, command):
    command("export", manifest.root, folder, "--layout", "kohya")
    result = command("export", manifest.root, folder, "--layout", "kohya")
    assert result.exit_code == 0 and "up to date, nothing to do" in result.stderr


def test_the_run_is_recorded_with_what_was_asked_for(manifest, folder, command):
    command("export", manifest.root, folder, "--layout", "webdataset", "--shard-size", "10MB")
    run = manifest.last_run("export")
    assert run is not None and run.finished
    assert run.options["layout"] == "webdataset" and run.options["shard_bytes"] == 10_000_000
    assert run.inputs["images"] == manifest.digest("images")


@pytest.mark.parametrize("size", ("0", "-5MB", "a lot", "5 parsecs", "nan"))
def test_a_size_that_is_none_is_a_usage_error(manifest, folder, command, size):
    result = command("export", manifest.root, folder, "--layout", "webdataset", f"--shard-size={size}")
    assert result.exit_code == 2 and "is not a size; write it as 500MB or 2GiB" in result.stderr


def test_a_shard_size_for_another_layout_is_a_usage_error(manifest, folder, command):
    result = command("export", manifest.root, folder, "--layout", "kohya", "--shard-size", "5MB")
    assert result.exit_code == 2 and "--shard-size is for --layout webdataset, not kohya" in result.stderr


@pytest.mark.parametrize("layout", LAYOUTS)
def test_parentheses_are_escaped_when_asked_and_come_back_as_they_were(manifest, folder, layout):
    from pipeline.core.caption_text import read_caption_text

    change(manifest, "images/artists~alder/a.png", "caption", "Alder, mihari (series)")
    export(manifest, folder, layout, escape=True)
    held = [path.read_bytes().decode("utf-8", "replace") for path in folder.rglob("*") if path.is_file()]
    shown = [text for text in held if "mihari" in text]
    assert shown and all("(series)" not in text for text in shown)
    assert read_caption_text("Alder, mihari \\(series\\)").text == "Alder, mihari (series)"
    again = export(manifest, folder, layout)
    assert not again.fresh, "captions without backslashes are others"
