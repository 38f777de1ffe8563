import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.core.filenames import LONGEST_BYTES, concept_of, flat, safe, same_file_key, without_repeats

part = st.text(st.sampled_from("ab~%7E25/é"), min_size=1).filter(lambda name: "/" not in name)


@given(st.lists(part, min_size=1, max_size=4).map("/".join))
def test_flattening_a_concept_can_be_undone(concept):
    assert concept_of(flat(concept)) == concept
    assert "/" not in flat(concept)


@given(st.lists(part, min_size=1, max_size=3).map("/".join), st.lists(part, min_size=1, max_size=3).map("/".join))
def test_two_concepts_never_flatten_to_one_name(one, other):
    assert (flat(one) == flat(other)) == (one == other)


def test_a_tilde_in_a_name_is_reported_from_a_slash():
    assert flat("characters/fanart/Mihari") == "characters~fanart~Mihari"
    assert flat("x~y/z") == "x%7Ey~z" and flat("100%") == "100%" and flat("%7E") == "%257E"


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("a:b?.x", "a_b_.x"),
        ("name.", "name_"),
        ("name ", "name_"),
        ("CON", "_CON"),
        ("nul.x", "_nul.x"),
        (" name", "_ name"),
        ("[artist] (2)", "[artist] (2)"),
        ("猫😀", "猫😀"),
        ("tab\there", "tab_here"),
    ],
)
def test_a_name_that_some_system_cannot_hold_is_made_safe(name, expected):
    assert safe(name) == expected


@given(st.text(min_size=1, max_size=300).filter(lambda name: "/" not in name))
def test_safe_names_stay_safe_and_short(name):
    assert safe(safe(name)) == safe(name)
    assert len(safe(name).encode()) <= LONGEST_BYTES + 8


def test_long_names_cut_alike_are_reported_apart():
    assert safe("é" * 200 + "1") != safe("é" * 200 + "2")


def test_case_and_composition_do_not_make_two_files():
    assert same_file_key("images/Ä.png") == same_file_key("images/a\u0308.png")


def test_repeats_are_read_off_a_folder_name():
    assert without_repeats("24_name_x") == (24, "name_x")
    assert without_repeats("name") is None and without_repeats("24_") is None
