"""The kohya layout is read by kohya-ss/sd-scripts as it was decided here."""

from __future__ import annotations

import tomllib
from pathlib import Path

import pytest
from decided import scored, trigger
from export_sets import BUCKET, BUCKET_OPTIONS, Workshop, change, export, noise, tree
from hypothesis import given
from hypothesis import strategies as st

from pipeline.core.filenames import concept_of, flat, safe, without_repeats
from pipeline.export.layouts.kohya_config import Subset, dataset_toml, quoted
from pipeline.export.naming import Names
from pipeline.store.values.bucket import Bucket
from pipeline.store.values.regularization import RegularizationAssignment, RegularizationImage

DATASET_KEYS = {
    "resolution",
    "batch_size",
    "enable_bucket",
    "min_bucket_reso",
    "max_bucket_reso",
    "bucket_reso_steps",
} | {
    "bucket_no_upscale",
    "subsets",
}
SUBSET_KEYS = {
    "image_dir",
    "num_repeats",
    "caption_extension",
    "shuffle_caption",
    "keep_tokens",
    "class_tokens",
    "is_reg",
}
TRIGGER = [trigger("lumi"), scored("smile")]


def config(folder: Path) -> dict:
    return tomllib.loads((folder / "dataset.toml").read_text(encoding="utf-8"))


def repeats_as_kohya_reads_them(folder: str) -> int:
    """sd-scripts takes the number before the first underscore; it leaves out a folder without one, or with 0."""
    return int(folder.split("_")[0])


names = st.text(st.characters(exclude_categories=("Cs", "Cc"), exclude_characters="/"), min_size=1, max_size=12)
concepts = st.lists(names.filter(lambda name: safe(name) == name and name not in (".", "..")), min_size=1, max_size=4)


@given(concepts, st.integers(1, 999))
def test_a_folders_name_is_read_back_as_its_repeat_and_its_concept(parts, repeat):
    concept = "/".join(parts)
    folder = Names().folder(f"train/{repeat}_{flat(concept)}").removeprefix("train/")
    found = without_repeats(folder)
    assert found is not None
    assert (found[0], concept_of(found[1])) == (repeat, concept)
    assert repeats_as_kohya_reads_them(folder) == repeat >= 1


@given(st.text(st.characters(exclude_categories=("Cs",))))
def test_any_text_is_read_back_from_toml(text):
    assert tomllib.loads(f"a = {quoted(text)}")["a"] == text


@given(names.map(lambda name: Path("/exports") / name))
def test_any_folder_is_read_back_from_the_dataset_file(folder):
    text = dataset_toml(folder, BUCKET_OPTIONS, True, [Subset("train/1_x", 1, 0, 'a "class"')])
    (subset,) = tomllib.loads(text)["datasets"][0]["subsets"]
    assert subset["image_dir"] == (folder / "train/1_x").as_posix() and subset["class_tokens"] == 'a "class"'


def test_images_lie_in_folders_called_by_repeat_and_concept_with_their_captions(tmp_path):
    shop = Workshop(tmp_path / "set")
    shop.add("characters/fanart/Mihari", "a.png", "mihari, smile", repeats=24.66)
    shop.add("characters/fanart/Mihari", "b.png", "mihari, hat", repeats=24.66)
    shop.add("artists", "a.png", "tree")
    export(shop.done(), tmp_path / "out")
    found = tree(tmp_path / "out")
    assert sorted(found) == [
        "dataset.toml",
        "train/1_artists/a.png",
        "train/1_artists/a.txt",
        "train/24_characters~fanart~Mihari/a.png",
        "train/24_characters~fanart~Mihari/a.txt",
        "train/24_characters~fanart~Mihari/b.png",
        "train/24_characters~fanart~Mihari/b.txt",
    ]
    assert found["train/24_characters~fanart~Mihari/a.txt"] == b"mihari, smile\n"


def test_different_repeats_in_one_concept_have_folders_of_their_own(tmp_path):
    shop = Workshop(tmp_path / "set")
    shop.add("x", "a.png", repeats=2.0)
    shop.add("x", "b.png", repeats=3.7)
    planned = export(shop.done(), tmp_path / "out")
    assert {path for path in tree(tmp_path / "out") if path.endswith(".png")} == {"train/2_x/a.png", "train/3_x/b.png"}
    assert "concepts whose images have different repeats, a folder for each: 1, such as x" in planned.warnings


def test_the_dataset_file_says_what_the_bucket_stage_decided_with_keys_that_the_schema_knows(tmp_path):
    shop = Workshop(tmp_path / "set")
    shop.add("x", "a.png", repeats=2.0)
    shop.add("y", "b.png")
    options = {
        **BUCKET_OPTIONS,
        "resolution": 1024,
        "bucket_reso_steps": 64,
        "min_bucket_reso": 500,
        "upscale": False,
        "batch_size": 4,
    }
    export(shop.done(options), tmp_path / "out")
    found = config(tmp_path / "out")
    assert set(found) == {"general", "datasets"}
    assert found["general"] == {"caption_extension": ".txt", "shuffle_caption": True}
    (dataset,) = found["datasets"]
    assert set(dataset) <= DATASET_KEYS
    assert {key: value for key, value in dataset.items() if key != "subsets"} == {
        "resolution": 1024,
        "batch_size": 4,
        "enable_bucket": True,
        "min_bucket_reso": 448,
        "max_bucket_reso": 2048,
        "bucket_reso_steps": 64,
        "bucket_no_upscale": True,
    }
    for subset in dataset["subsets"]:
        assert set(subset) <= SUBSET_KEYS
        folder = Path(subset["image_dir"])
        assert folder.is_absolute() and folder.is_dir()
        assert repeats_as_kohya_reads_them(folder.name) == subset["num_repeats"]
    assert [subset["num_repeats"] for subset in dataset["subsets"]] == [2, 1]


def test_a_set_without_buckets_names_no_resolution_and_says_so(tmp_path):
    shop = Workshop(tmp_path / "set")
    shop.add("x", bucket=None)
    planned = export(shop.done(bucket=None), tmp_path / "out")
    assert "resolution" not in config(tmp_path / "out")["datasets"][0]
    assert any("dataset.toml names no resolution" in note for note in planned.warnings)


def test_as_many_tokens_are_kept_as_trigger_words_stand_in_front(tmp_path):
    shop = Workshop(tmp_path / "set")
    shop.add("x", "a.png", "lumi, smile", tags=TRIGGER)
    shop.add("y", "a.png", "smile, lumi", tags=TRIGGER)
    planned = export(shop.done(), tmp_path / "out")
    kept = {
        Path(each["image_dir"]).name: each["keep_tokens"] for each in config(tmp_path / "out")["datasets"][0]["subsets"]
    }
    assert kept == {"1_x": 1, "1_y": 0}
    assert not any("trigger words" in note for note in planned.warnings)


def test_where_trigger_words_differ_in_a_folder_the_fewest_are_kept_and_it_is_said(tmp_path):
    shop = Workshop(tmp_path / "set")
    shop.add("x", "a.png", "lumi, red dress, smile", tags=[trigger("lumi"), trigger("red dress"), scored("smile")])
    shop.add("x", "b.png", "lumi, smile", tags=TRIGGER)
    shop.add("x", "c.png", None, tags=TRIGGER)
    planned = export(shop.done(), tmp_path / "out")
    (subset,) = config(tmp_path / "out")["datasets"][0]["subsets"]
    assert subset["keep_tokens"] == 1
    assert "captions begin with differently many trigger words, the fewest are kept: x (1, 2)" in planned.warnings


def test_shuffling_follows_what_prep_toml_says_of_training(tmp_path):
    shop = Workshop(tmp_path / "set")
    shop.add("x", "a.png", "lumi, smile", tags=TRIGGER)
    (tmp_path / "set/prep.toml").write_text(
        "[train]\nshuffle_tags = false\ntag_dropout = 0.1\nkeep_tags = 3\n", encoding="utf-8"
    )
    export(shop.done(), tmp_path / "out")
    (subset,) = config(tmp_path / "out")["datasets"][0]["subsets"]
    assert (subset["shuffle_caption"], subset["keep_tokens"]) == (False, 3)


def test_where_a_caption_is_missing_the_concepts_name_stands_in_for_it(tmp_path):
    shop = Workshop(tmp_path / "set")
    shop.add("characters/Lumi", caption=None)
    shop.add("characters/Lumi", "b.png", caption="")
    shop.add("artists")
    planned = export(shop.done(), tmp_path / "out")
    artists, lumi = config(tmp_path / "out")["datasets"][0]["subsets"]
    assert lumi["class_tokens"] == "Lumi" and "class_tokens" not in artists
    assert not [path for path in tree(tmp_path / "out") if path.endswith("Lumi/b.txt")], (
        "sd-scripts refuses an empty file"
    )
    assert any("class_tokens in dataset.toml" in note for note in planned.warnings)


def with_reg_images(tmp_path: Path) -> Workshop:
    shop = Workshop(tmp_path / "set")
    for name in ("a.png", "b.png", "c.png"):
        path = shop.add("x", name, repeats=3.0)
        reg_image = f"regularization/x/{name}"
        shop.decide(
            path, "regularization", RegularizationAssignment((RegularizationImage(reg_image, "1girl", (64, 64), 1),))
        )
        if name != "c.png":
            file = tmp_path / "set" / reg_image
            file.parent.mkdir(parents=True, exist_ok=True)
            noise(9, (64, 64)).save(file)
    return shop


def test_reg_images_are_a_regularization_subset_with_the_repeats_of_their_images(tmp_path):
    planned = export(with_reg_images(tmp_path).done(), tmp_path / "out")
    found = tree(tmp_path / "out")
    assert found["regularization/3_x/a.txt"] == b"1girl\n"
    assert {path for path in found if path.startswith("regularization")} == {
        f"regularization/3_x/{name}" for name in ("a.png", "a.txt", "b.png", "b.txt")
    }
    train, regularization = config(tmp_path / "out")["datasets"][0]["subsets"]
    assert regularization["is_reg"] is True and "is_reg" not in train
    assert regularization["num_repeats"] == train["num_repeats"] == 3
    assert Path(regularization["image_dir"]).is_dir()
    assert any(note.startswith("regularization images that are not there yet: 1") for note in planned.warnings)
    assert any(note.startswith("2 of 3 images have a regularization image") for note in planned.warnings)


def test_a_reg_image_that_was_left_out_is_not_exported(tmp_path):
    manifest = with_reg_images(tmp_path).done()
    change(manifest, "regularization/x/a.png", "keep", False)
    export(manifest, tmp_path / "out")
    assert "regularization/3_x/a.png" not in tree(tmp_path / "out")


def test_images_that_sd_scripts_would_not_show_as_they_are_are_counted(tmp_path):
    shop = Workshop(tmp_path / "set")
    shop.add("x", "a.gif")
    shop.add("x", "b.png", clear=True)
    shop.add("x", "c.png", "first line\nsecond line")
    manifest = shop.done()
    warnings = export(manifest, tmp_path / "out").warnings
    assert any(
        note.startswith("images of a kind that sd-scripts does not read: 1, such as images/x/a.gif")
        for note in warnings
    )
    assert any(
        note.startswith("transparent images, whose hidden colours sd-scripts would show: 1") for note in warnings
    )
    assert "captions of several lines, of which sd-scripts reads the first: 1, such as images/x/c.png" in warnings
    cropped = export(manifest, tmp_path / "crops", resize=True)
    assert not any("--resize" in note for note in cropped.warnings)
    assert "train/1_x/a.png" in tree(tmp_path / "crops")


def test_images_that_sd_scripts_would_crop_otherwise_are_counted(tmp_path):
    shop = Workshop(tmp_path / "set")
    same = Bucket((64, 64), (64, 64), (0, 0, 64, 64))
    shop.add("x", "a.png", bucket=same, size=(64, 64))
    shop.add("x", "b.png", bucket=BUCKET)
    warnings = export(shop.done(), tmp_path / "out").warnings
    assert (
        "images that sd-scripts would scale or crop otherwise than decided here: 1 of 2; --resize writes the exact crops"
        in warnings
    )


@pytest.mark.parametrize("step,reported", ((8, True), (48, True), (32, False), (64, False)))
def test_a_step_that_sd_scripts_refuses_is_reported(tmp_path, step, reported):
    shop = Workshop(tmp_path / "set")
    shop.add("x")
    warnings = export(
        shop.done({**BUCKET_OPTIONS, "resolution": 512, "bucket_reso_steps": step}), tmp_path / "out"
    ).warnings
    assert any("is refused by sd-scripts" in note for note in warnings) is reported


def test_names_that_only_differ_by_case_or_are_unsafe_do_not_share_a_file(tmp_path):
    shop = Workshop(tmp_path / "set")
    shop.add("lumi", "a.png")
    shop.add("Lumi", "a.png")
    shop.add("Lumi", "multiply.png")
    planned = export(shop.done(), tmp_path / "out")
    found = [path for path in tree(tmp_path / "out") if path.endswith(".png")]
    assert len({path.lower() for path in found}) == 3
    assert found and all(repeats_as_kohya_reads_them(path.split("/")[1]) == 1 for path in found)
    assert "train/1_Lumi/multiply (2).txt" in tree(tmp_path / "out"), "multiply.txt is a setting of EveryDream2"
    assert any(note.startswith("names that had to change to be safe or unique: 2") for note in planned.warnings)
