import itertools
import math

import pytest
from concept_trees import COUNTS, PUBLISHED, counts
from hypothesis import given
from hypothesis import strategies as st

from pipeline.concepts.shares import exact_repeats, key_finder, nodes, shares, tree, unmatched, whole_repeats

weighings = st.dictionaries(st.sampled_from(["a", "a/b", "*/c", "**/b", "*", "a/."]), st.sampled_from([0.25, 1.0, 8.0]))


def test_all_nineteen_published_repeats_come_out():
    exact = exact_repeats(tree(COUNTS, {}), COUNTS)
    assert whole_repeats(exact, COUNTS) == {concept: repeat for concept, (_, repeat) in PUBLISHED.items()}
    assert exact["artists/kantoku"] == pytest.approx(1)
    assert exact["characters/fanart/Euphyllia"] == pytest.approx(57.03125)
    assert sum(exact[name] * COUNTS[name] for name in COUNTS) == pytest.approx(21_900)


def test_rounding_to_the_nearest_shows_the_smallest_concepts_closer_to_their_share():
    exact = exact_repeats(tree(COUNTS, {}), COUNTS)
    nearest = whole_repeats(exact, COUNTS, "nearest")
    assert nearest["artists/ke-ta"] == 3 and nearest["characters/fanart/Anisphia"] == 25
    assert sum(nearest[name] * COUNTS[name] for name in COUNTS) == 21_771


def test_the_largest_remainders_are_rounded_up_until_the_exact_epoch_is_full():
    exact = exact_repeats(tree(COUNTS, {}), COUNTS)
    whole = whole_repeats(exact, COUNTS, "largest-remainder")
    total = sum(whole[name] * COUNTS[name] for name in COUNTS)
    assert 21_900 - min(COUNTS.values()) < total <= 21_900
    assert all(math.floor(exact[name]) <= whole[name] <= math.ceil(exact[name]) for name in COUNTS)


def test_a_folders_own_images_are_one_more_child():
    root = tree({"a": 5, "a/b": 5, "a/c": 5, "d": 5}, {})
    assert shares(root) == pytest.approx({"a": 1 / 6, "a/b": 1 / 6, "a/c": 1 / 6, "d": 1 / 2})
    assert set(nodes(root)) == {"a", "a/.", "a/b", "a/c", "d"}


def test_weights_hold_among_siblings_and_own_images_can_be_weighted():
    root = tree({"a": 5, "a/b": 5, "d": 5}, {"d": 3, "a/.": 0.5})
    assert shares(root) == pytest.approx({"a": 0.25 / 3, "a/b": 0.5 / 3, "d": 0.75})


def test_what_a_cap_cuts_goes_to_the_siblings_and_their_branch_keeps_its_share():
    sizes = {"a/few": 2, "a/many": 100, "b": 1000}
    exact = exact_repeats(tree(sizes, {}), sizes, max_repeat=20)
    assert exact["a/few"] == pytest.approx(20) and exact["b"] == pytest.approx(1)
    assert exact["a/many"] == pytest.approx((1000 - 2 * 20) / 100)


def test_a_branch_that_is_full_gives_to_its_parents_siblings():
    sizes = {"a/x": 1, "b/y": 10, "b/z": 1000}
    exact = exact_repeats(tree(sizes, {}), sizes, max_repeat=5)
    assert exact["a/x"] == pytest.approx(5) and exact["b/y"] == pytest.approx(5)
    assert exact["b/z"] == pytest.approx(1)


def test_the_exponent_tempers_by_hand():
    """4 and 16 images pull with 4^0.5 = 2 and 16^0.5 = 4: shares 1/3 and 2/3, an image of `a` twice as often."""
    sizes = {"a": 4, "b": 16}
    root = tree(sizes, {}, 0.5)
    assert shares(root) == pytest.approx({"a": 1 / 3, "b": 2 / 3})
    assert exact_repeats(root, sizes) == pytest.approx({"a": 2, "b": 1})
    assert shares(tree(sizes, {"a": 2}, 0.5)) == pytest.approx({"a": 1 / 2, "b": 1 / 2})


def test_the_exponent_counts_all_images_below_a_branch():
    """`a` holds 1 + 8 images and pulls with 3, `b` with 1; within `a`, 1 and 8 pull with 1 and √8."""
    found = shares(tree({"a/x": 1, "a/y": 8, "b": 1}, {}, 0.5))
    assert found["b"] == pytest.approx(1 / 4)
    assert found["a/x"] == pytest.approx(3 / 4 / (1 + math.sqrt(8)))


def test_a_cap_gives_exact_figures_not_nearly_so():
    sizes = {"a/few": 2, "a/many": 100, "b": 1000}
    exact = exact_repeats(tree(sizes, {}), sizes, max_repeat=20)
    assert whole_repeats(exact, sizes) == {"a/few": 20, "a/many": 9, "b": 1}
    assert exact["b"] == pytest.approx(1, rel=1e-13)


# --- weights by pattern


def test_a_star_stays_within_a_level_and_two_span_levels():
    paths = ["fanart", "a", "a/fanart", "a/b", "a/b/fanart", "a/fanart of b"]
    for key, found in (
        ("*", ["fanart", "a"]),
        ("*/fanart", ["a/fanart"]),
        ("*/*/fanart", ["a/b/fanart"]),
        ("**/fanart", ["fanart", "a/fanart", "a/b/fanart"]),
        ("a/**/fanart", ["a/fanart", "a/b/fanart"]),
        ("a/**", ["a/fanart", "a/b", "a/b/fanart", "a/fanart of b"]),
        ("a/fan*", ["a/fanart", "a/fanart of b"]),
        ("**", paths),
    ):
        find = key_finder({key: 2.0})
        assert [path for path in paths if find(path)] == found, key


def test_only_stars_are_special_in_a_pattern():
    find = key_finder({"[artist]?*": 2.0})
    assert find("[artist]?x") and not find("a?x") and not find("[artist]xx")


def test_the_path_itself_goes_before_a_pattern_and_more_letters_before_fewer():
    find = key_finder(dict.fromkeys(("**", "*/fanart", "characters/*", "characters/fanart"), 1.0))
    assert find("characters/fanart") == "characters/fanart"
    find = key_finder(dict.fromkeys(("**", "**/fanart", "*/fanart", "characters/*"), 1.0))
    assert find("characters/fanart") == "characters/*"
    assert find("artists/fanart") == "*/fanart" and find("x/artists/fanart") == "**/fanart" and find("x") == "**"


@given(st.permutations(["**", "*/b", "**/b", "a/*", "*/*", "a*/b", "*a/b"]))
def test_the_order_in_which_weights_are_written_does_not_matter(keys):
    find = key_finder(dict.fromkeys(keys, 1.0))
    assert [find(path) for path in ("a/b", "c/b", "c/d", "e")] == ["*a/b", "*/b", "*/*", "**"]


def test_a_pattern_weighs_every_sibling_it_is_for():
    found = shares(tree({"a/fanart": 1, "a/screens": 1, "b/fanart": 1, "b/screens": 1}, {"*/fanart": 3}))
    assert found == pytest.approx({"a/fanart": 3 / 8, "a/screens": 1 / 8, "b/fanart": 3 / 8, "b/screens": 1 / 8})


def test_keys_that_are_for_nothing_are_found():
    assert unmatched(["a", "a/b"], {"a": 1, "*/b": 1, "a/c": 1, "**/c": 1, "*": 1}) == ["a/c", "**/c"]


# --- properties


@given(counts, weighings, st.sampled_from([0, 0.3, 1]))
def test_shares_add_up_to_one_and_do_not_depend_on_order(sizes, weights, exponent):
    target_shares = shares(tree(sizes, weights, exponent))
    assert set(target_shares) == set(sizes)
    assert math.fsum(target_shares.values()) == pytest.approx(1)
    reversed_weights = dict(reversed(weights.items()))
    assert target_shares == shares(tree(dict(reversed(sizes.items())), reversed_weights, exponent))


@given(counts, weighings, st.sampled_from([0.5, 1, 3]))
def test_exact_repeats_give_the_target_shares_and_the_smallest_is_min_repeat(sizes, weights, smallest):
    root = tree(sizes, weights)
    exact, target_shares = exact_repeats(root, sizes, smallest), shares(root)
    total = sum(exact[name] * sizes[name] for name in sizes)
    assert min(exact.values()) == pytest.approx(smallest)
    for name in sizes:
        assert exact[name] * sizes[name] / total == pytest.approx(target_shares[name])


@given(counts, st.sampled_from([1, 2.5]))
def test_an_exponent_of_one_shows_every_image_alike(sizes, smallest):
    exact = exact_repeats(tree(sizes, {}, 1.0), sizes, smallest)
    assert exact == pytest.approx(dict.fromkeys(sizes, smallest))


@given(counts, weighings, st.sampled_from([1, 1.5, 4, 50]))
def test_a_cap_is_never_exceeded_and_the_smallest_stays_min_repeat(sizes, weights, cap):
    exact = exact_repeats(tree(sizes, weights), sizes, 1, cap)
    assert max(exact.values()) <= cap * (1 + 1e-9)
    assert min(exact.values()) == pytest.approx(1, rel=1e-9)


@given(counts, weighings, st.sampled_from([1.5, 4]))
def test_concepts_below_the_cap_keep_their_proportions_among_siblings(sizes, weights, cap):
    exact = exact_repeats(tree(sizes, weights), sizes, 1, cap)
    root = tree(sizes, weights)
    free = [child for child in root.children.values() if not child.children and exact[child.concept] < cap * (1 - 1e-6)]
    for one, other in itertools.pairwise(free):
        shown = [exact[each.concept] * each.images / each.weight for each in (one, other)]
        assert shown[0] == pytest.approx(shown[1], rel=1e-6)


@given(counts)
def test_a_cap_that_nothing_reaches_changes_nothing(sizes):
    root = tree(sizes, {})
    assert exact_repeats(root, sizes, 1, 1e9) == pytest.approx(exact_repeats(root, sizes), rel=1e-6)


def test_whole_repeats_are_never_below_one():
    assert whole_repeats({"a": 0.4}, {"a": 3}) == whole_repeats({"a": 0.4}, {"a": 3}, "nearest") == {"a": 1}
