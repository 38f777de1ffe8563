from hypothesis import given
from hypothesis import strategies as st

from pipeline.sources.repeats import folders
from pipeline.sources.source_file import IMAGE, NUMBER, Found
from pipeline.store.reasons.placement import PlacementReason


def tree(*folders_with_images):
    return [Found(f"/s/{folder}/a.png", folder, IMAGE) for folder in folders_with_images]


def test_only_a_folder_without_folders_of_images_has_repeats_in_its_name():
    found = folders(tree("24_a~b", "2_group", "2_group/3_inner", "plain"), True)
    assert found.concepts == {"/s/24_a~b": "a/b", "/s/2_group/3_inner": "2_group/inner"}
    assert {folder: given.value for folder, given in found.user_repeats.items()} == {
        "/s/24_a~b": 24.0,
        "/s/2_group/3_inner": 3.0,
    }
    assert folders(tree("24_a~b"), False).concepts == {}


def test_zero_gives_nothing_and_a_number_too_long_is_part_of_the_name():
    found = folders(tree("0_a", "12345678901_b"), True)
    assert found.concepts == {"/s/0_a": "a"} and found.user_repeats == {} and found.zero == ["0_a"]


def test_the_word_of_multiply_txt_holds_for_its_own_folder_only(tmp_path):
    file = tmp_path / "multiply.txt"
    file.write_text("0.5")
    number = Found("/s/a/multiply.txt", "a", NUMBER, 3, file=str(file))
    found = folders([*tree("a", "a/b"), number], True)
    assert {folder: each.value for folder, each in found.user_repeats.items()} == {"/s/a": 0.5}
    assert found.rows == [("/s/a/multiply.txt", (PlacementReason.MULTIPLY_READ, {"text": "0.5"}))]


def test_repeats_that_no_run_could_show_are_not_used_and_said():
    found = folders(tree("99999999_x"), True)
    assert not found.user_repeats and not found.concepts
    assert found.rows == [("/s/99999999_x", (PlacementReason.REPEATS_TOO_LARGE, {"name": "99999999_x"}))]


@given(st.integers(1, 1_000_000), st.text(st.characters(exclude_characters="/\0", codec="utf-8"), min_size=1))
def test_any_whole_number_before_any_name_is_read_back(number, name):
    found = folders(tree(f"{number}_{name}"), True)
    assert [given.value for given in found.user_repeats.values()] == [float(number)]
