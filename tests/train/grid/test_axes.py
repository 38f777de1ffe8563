"""The axes of a grid: numbers and ranges, replacements, and how they lie on a sheet."""

import pytest

from pipeline.core.errors import PrepError
from train.grid.axes import axis, checked, combinations, laid_out, numbers, replacements


def test_numbers_stand_with_commas_or_as_ranges():
    assert numbers("strength", ["0.4,0.6", "1"], -100, 100) == [0.4, 0.6, 1]
    assert numbers("strength", ["0.4..1:0.2"], -100, 100) == [0.4, 0.6, 0.8, 1.0]
    assert numbers("seed", ["1..4"], 0, 9, whole=True) == [1, 2, 3, 4]
    assert numbers("strength", ["-1..0:0.5"], -100, 100) == [-1, -0.5, 0]


@pytest.mark.parametrize(
    ("text", "reported"),
    [("x", "'x' is no number"), ("1.5", "is no whole number from 1 to 10"), ("11", "is no whole number"),
     ("", "'' is no number"), ("5..1", "holds nothing"), ("1..9:0", "holds nothing"),
     ("1..9e9:.001", "'1..9e9:.001' is no number"), ("nan", "is no number"),
     ("1..99999999:0.5", "too much")],
)  # fmt: skip
def test_what_is_no_number_is_told(text, reported):
    with pytest.raises(PrepError, match=f".*{reported.replace('.', '[.]')}"):
        numbers("steps", [text], 1, 10, whole=True)


def test_replacements_begin_with_what_is_searched_for():
    assert replacements("red hair, blue hair") == [("red hair", "red hair"), ("red hair", "blue hair")]
    assert replacements(r"a\, b,c") == [("a, b", "a, b"), ("a, b", "c")]
    with pytest.raises(PrepError, match="names nothing to put in its place"):
        replacements("red hair")


def test_every_combination_comes_once_and_the_last_axis_is_fastest():
    axes = [axis("prompt", ["a", "b"]), axis("seed", [1, 2, 3])]
    assert [tuple(place.values()) for place in combinations(axes)] == [(0, 0), (0, 1), (0, 2), (1, 0), (1, 1), (1, 2)]


def test_a_value_given_twice_and_too_many_images_are_refused():
    with pytest.raises(PrepError, match="seed: '1' is given twice"):
        axis("seed", [1, 1])
    with pytest.raises(PrepError, match=r"the grid would have 40,000 images: 200 of seed, 200 of steps"):
        checked([axis("seed", range(200)), axis("steps", range(1, 201))])


def test_strength_lies_across_and_what_changes_slowest_down():
    axes = [axis("adapter", ["a", "b"]), axis("strength", [0.5, 1]), axis("prompt", ["x", "y"]), axis("seed", [1])]
    assert laid_out(axes, None, None) == ("strength", "adapter")
    assert laid_out(axes, "prompt", None) == ("prompt", "adapter")
    assert laid_out(axes, None, "strength") == ("adapter", "strength")
    assert laid_out([axis("seed", [1])], None, None) == (None, None)
    with pytest.raises(PrepError, match="--x seed: it has one value"):
        laid_out(axes, "seed", None)
    with pytest.raises(PrepError, match="are both prompt"):
        laid_out(axes, "prompt", "prompt")
