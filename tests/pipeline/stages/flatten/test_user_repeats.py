"""Repeats in folder names, in multiply.txt and other trainers' settings."""

import pytest
from flattened_sets import given, placed
from painted_sets import painted, run_flatten, save

from pipeline.store.manifest import Manifest
from pipeline.store.wording import figures, phrase


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


def test_an_image_whose_source_vanished_is_still_given_what_its_folder_said(tmp_path):
    save(painted(1, 0.3), tmp_path / "src/24_Lumi/a.png")
    save(painted(2, 0.3), tmp_path / "src/24_Lumi/b.png")
    manifest = Manifest.open(tmp_path / "set", create=True)
    run_flatten(manifest, tmp_path / "src")
    (tmp_path / "src/24_Lumi/a.png").unlink()
    run_flatten(manifest, tmp_path / "src")
    assert [row[0] for row in given(manifest).values()] == [24.0, 24.0]
