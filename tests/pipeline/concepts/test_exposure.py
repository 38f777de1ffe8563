import math

import pytest
from concept_trees import COUNTS, concepts
from hypothesis import given
from hypothesis import strategies as st

from pipeline.concepts.exposure import (
    Group,
    effective_size,
    epoch_exposures,
    lines,
    training_exposures,
    variation,
    whole_exposures,
)
from pipeline.concepts.shares import exact_repeats, tree, whole_repeats


def published(rounding):
    """The groups of the published composition table, its repeats rounded this way."""
    exact = exact_repeats(tree(COUNTS, {}), COUNTS)
    whole = whole_repeats(exact, COUNTS, rounding)
    return [Group(name, COUNTS[name], exact[name], whole[name]) for name in COUNTS]


def missed(found):
    leaves = [line for line in found if line.leaf]
    return variation([line.rounded for line in leaves], [line.target for line in leaves])


def test_whole_repeats_miss_the_published_shares_by_the_published_figures():
    """alea31415's LyCORIS experiments (Hugging Face): characters get .527 instead of .5, ke-ta 0.760 of its share."""
    floor, nearest = published("floor"), published("nearest")
    assert (whole_exposures(floor), whole_exposures(nearest)) == (19_425, 21_771)
    assert missed(lines(floor, {})) == pytest.approx(0.061, abs=5e-4)
    assert missed(lines(nearest, {})) == pytest.approx(0.014, abs=5e-4)
    found = {line.path: line for line in lines(floor, {})}
    assert found["characters"].rounded == pytest.approx(0.527, abs=5e-4)
    for path, ratio in (("artists/ke-ta", 0.760), ("artists/momoko", 0.785), ("artists/kantoku", 1.127)):
        assert found[path].rounded / found[path].target == pytest.approx(ratio, abs=6e-4)


def test_the_effective_size_by_hand():
    """Repeats 1, 1, 2: (1 + 1 + 2)² / (1 + 1 + 4) = 16/6."""
    assert effective_size([Group("a", 2, 1.0, 1), Group("b", 1, 2.0, 2)]) == pytest.approx(16 / 6)
    assert effective_size([Group("a", 7, 3.0, 3), Group("b", 2, 3.0, 3)]) == pytest.approx(9)


def test_lines_follow_the_tree_with_own_images_first():
    groups = [Group("b", 1, 1.0, 1), Group("a/x", 2, 1.0, 1), Group("a", 3, 1.0, 1), Group("a-b", 1, 1.0, 1)]
    found = lines(groups, {"a": 2, "a/.": 3})
    assert [line.path for line in found] == ["a", "a/.", "a/x", "a-b", "b"]
    assert [line.depth for line in found] == [0, 1, 1, 0, 0]
    assert [line.images for line in found] == [5, 3, 2, 1, 1]
    assert [line.weight for line in found] == [2, 3, 1, 1, 1]
    assert [line.target for line in found] == pytest.approx([1 / 2, 3 / 8, 1 / 8, 1 / 4, 1 / 4])
    assert [line.leaf for line in found] == [False, True, True, True, True]


def test_what_folders_gave_has_the_share_it_takes_and_the_rest_splits_what_is_left():
    """2 images × 3 = 6 of 10 exposures are given; of the other 4, `b` was to get half, and half is `c`."""
    groups = [Group("a", 2, 3.0, 3, user_set=True), Group("b", 1, 2.0, 2), Group("c", 2, 1.0, 1)]
    found = {line.path: line for line in lines(groups, {})}
    assert (found["a"].target, found["a"].share, found["a"].weight) == (0.6, 0.6, None)
    assert (found["b"].target, found["b"].share, found["b"].weight) == pytest.approx((0.2, 0.2, 1))
    assert found["c"].seen(100) == pytest.approx(10)


def test_a_concept_partly_given_is_one_line_with_both_repeats():
    groups = [Group("a", 1, 1.0, 1), Group("a", 2, 5.0, 5, user_set=True), Group("b", 1, 1.0, 1)]
    line = lines(groups, {})[0]
    assert (line.path, line.images, line.exact, line.repeats) == ("a", 3, (1.0, 5.0), (1, 5))
    assert line.target == pytest.approx(11 / 12) and line.share == pytest.approx(11 / 12)


def test_a_training_of_steps_shows_batches_and_one_of_epochs_shows_epochs():
    assert training_exposures(epoch=21.9, steps=100, epochs=10, batch_size=4) == 400
    assert training_exposures(epoch=21.9, steps=None, epochs=10, batch_size=4) == pytest.approx(219)


groups = st.dictionaries(
    concepts, st.tuples(st.integers(1, 90), st.floats(0.1, 60), st.integers(1, 60), st.booleans()), min_size=1
).map(lambda found: [Group(name, *rest) for name, rest in found.items()])


@given(groups)
def test_every_level_of_the_tree_is_the_whole(found):
    table = lines(found, {})
    for figure in ("target", "share", "rounded"):
        top = [getattr(line, figure) for line in table if line.depth == 0]
        leaves = [getattr(line, figure) for line in table if line.leaf]
        assert math.fsum(top) == pytest.approx(1) and math.fsum(leaves) == pytest.approx(1)
    assert sum(line.images for line in table if line.leaf) == sum(group.images for group in found)
    assert sum(line.seen(50) * line.images for line in table if line.leaf) == pytest.approx(50)


@given(groups)
def test_images_count_for_as_many_as_there_are_at_most(found):
    assert 1 - 1e-9 <= effective_size(found) <= sum(group.images for group in found) * (1 + 1e-9)
    assert epoch_exposures(found) > 0
