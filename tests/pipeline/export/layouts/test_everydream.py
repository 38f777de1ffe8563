"""The EveryDream layout holds the exact repeats, in folders as the concepts are."""

from __future__ import annotations

from export_sets import Workshop, export, tree
from hypothesis import given
from hypothesis import strategies as st

from pipeline.export.layouts.everydream import decimal


@given(st.floats(min_value=1e-9, max_value=1e6))
def test_repeats_are_read_back_exactly_and_have_no_exponent(number):
    assert float(decimal(number)) == number
    assert set(decimal(number)) <= set("0123456789.")


def test_numbers_are_written_as_people_write_them():
    assert [decimal(number) for number in (2.0, 2.5, 0.1, 1e-07, 100.0)] == ["2", "2.5", "0.1", "0.0000001", "100"]


def test_every_folder_of_images_has_its_repeats_also_one_with_folders_below(tmp_path):
    shop = Workshop(tmp_path / "set")
    shop.add("characters", "a.png", "two", repeats=0.5)
    shop.add("characters/Lumi", "a.png", "lumi", repeats=2.666666667)
    export(shop.done(), tmp_path / "out", "everydream")
    found = tree(tmp_path / "out")
    assert sorted(found) == [
        "characters/Lumi/a.png",
        "characters/Lumi/a.txt",
        "characters/Lumi/multiply.txt",
        "characters/a.png",
        "characters/a.txt",
        "characters/multiply.txt",
    ]
    assert found["characters/multiply.txt"] == b"0.5\n"
    assert found["characters/Lumi/multiply.txt"] == b"2.666666667\n"


def test_different_repeats_in_one_concept_have_folders_of_their_own(tmp_path):
    shop = Workshop(tmp_path / "set")
    for name, repeats in (("a.png", 2.25), ("b.png", 2.25), ("c.png", 2.5)):
        shop.add("artists/alder", name, repeats=repeats)
    planned = export(shop.done(), tmp_path / "out", "everydream")
    found = tree(tmp_path / "out")
    assert found["artists/alder/multiply.txt"] == b"2.25\n" and found["artists/2_alder/multiply.txt"] == b"2.5\n"
    assert "artists/2_alder/c.png" in found and "artists/alder/b.png" in found
    assert any(note.startswith("concepts whose images have different repeats") for note in planned.warnings)


def test_a_caption_is_never_called_like_a_setting(tmp_path):
    shop = Workshop(tmp_path / "set")
    shop.add("x", "multiply.png", "a multiplication table", repeats=3.0)
    shop.add("x", "Flip_P.png", "a flip", repeats=3.0)
    export(shop.done(), tmp_path / "out", "everydream")
    found = tree(tmp_path / "out")
    assert found["x/multiply (2).txt"] == b"a multiplication table\n"
    assert "x/Flip_P (2).txt" in found


def test_a_folder_is_never_called_like_a_file(tmp_path):
    shop = Workshop(tmp_path / "set")
    shop.add("x", "a.png")
    shop.add("x/multiply.txt", "a.png")
    shop.add("x/a.png", "b.png")
    shop.add("prep-export.json", "a.png")
    export(shop.done(), tmp_path / "out", "everydream")
    found = tree(tmp_path / "out")
    assert {"x/_multiply.txt/a.png", "x/a.png/b.png", "x/a (2).png", "_prep-export.json/a.png"} <= set(found)


def test_what_everydream_makes_of_missing_captions_is_reported(tmp_path):
    shop = Workshop(tmp_path / "set")
    shop.add("x", "a.avif", caption=None)
    warnings = export(shop.done(), tmp_path / "out", "everydream").warnings
    assert "EveryDream2 takes a file's name up to the first _ where there is no caption" in warnings
    assert any(note.startswith("images of a kind that EveryDream2 does not read: 1") for note in warnings)
