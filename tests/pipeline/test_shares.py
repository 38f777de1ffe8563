import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.shares import multipliers, nodes, repeats, shares, tree

PUBLISHED = {
    "artists/kantoku": (2190, 1),
    "artists/ke-ta": (738, 2),
    "artists/momoko": (762, 2),
    "artists/mochizuki_kei": (426, 5),
    "artists/onono_imoko": (373, 5),
    "characters/fanart/Anisphia": (37, 24),
    "characters/fanart/Anisphia+Euphyllia": (97, 9),
    "characters/fanart/Euphyllia": (16, 57),
    "characters/fanart/OyamaMahiro": (299, 3),
    "characters/fanart/OyamaMahiro+OyamaMihari": (47, 19),
    "characters/fanart/OyamaMihari": (53, 17),
    "characters/screenshots/Anisphia": (217, 3),
    "characters/screenshots/Anisphia+Euphyllia": (165, 4),
    "characters/screenshots/Anisphia+Tilty": (24, 28),
    "characters/screenshots/Euphyllia": (235, 2),
    "characters/screenshots/OyamaMahiro": (210, 3),
    "characters/screenshots/OyamaMahiro+OyamaMihari": (199, 3),
    "characters/screenshots/OyamaMihari": (177, 3),
    "characters/screenshots/Tilty": (95, 7),
}
"""Concept → (pictures, repeat): the composition table of alea31415's LyCORIS experiments (Hugging Face)."""
COUNTS = {concept: pictures for concept, (pictures, _) in PUBLISHED.items()}

part = st.sampled_from(["a", "b", "c", "d~", "e e"])
concepts = st.lists(part, min_size=1, max_size=3).map("/".join)
counts = st.dictionaries(concepts, st.integers(1, 500), min_size=1, max_size=8)


def test_all_nineteen_published_repeats_come_out():
    exact = multipliers(tree(COUNTS, {}), COUNTS)
    assert repeats(exact, COUNTS) == {concept: repeat for concept, (_, repeat) in PUBLISHED.items()}
    assert exact["artists/kantoku"] == pytest.approx(1)
    assert exact["characters/fanart/Euphyllia"] == pytest.approx(57.03125)
    assert sum(exact[name] * COUNTS[name] for name in COUNTS) == pytest.approx(21_900)


def test_rounding_to_the_nearest_shows_the_smallest_concepts_closer_to_their_share():
    exact = multipliers(tree(COUNTS, {}), COUNTS)
    nearest = repeats(exact, COUNTS, "nearest")
    assert nearest["artists/ke-ta"] == 3 and nearest["characters/fanart/Anisphia"] == 25
    assert sum(nearest[name] * COUNTS[name] for name in COUNTS) == 21_771


def test_the_largest_remainders_are_rounded_up_until_the_exact_epoch_is_full():
    exact = multipliers(tree(COUNTS, {}), COUNTS)
    whole = repeats(exact, COUNTS, "largest-remainder")
    total = sum(whole[name] * COUNTS[name] for name in COUNTS)
    assert 21_900 - min(COUNTS.values()) < total <= 21_900
    assert all(math.floor(exact[name]) <= whole[name] <= math.ceil(exact[name]) for name in COUNTS)


def test_a_folders_own_pictures_are_one_more_child():
    root = tree({"a": 5, "a/b": 5, "a/c": 5, "d": 5}, {})
    assert shares(root) == pytest.approx({"a": 1 / 6, "a/b": 1 / 6, "a/c": 1 / 6, "d": 1 / 2})
    assert set(nodes(root)) == {"a", "a/.", "a/b", "a/c", "d"}


def test_weights_hold_among_siblings_and_own_pictures_can_be_weighted():
    root = tree({"a": 5, "a/b": 5, "d": 5}, {"d": 3, "a/.": 0.5})
    assert shares(root) == pytest.approx({"a": 0.25 / 3, "a/b": 0.5 / 3, "d": 0.75})


def test_what_a_cap_cuts_goes_to_the_siblings_and_their_branch_keeps_its_share():
    sizes = {"a/few": 2, "a/many": 100, "b": 1000}
    exact = multipliers(tree(sizes, {}), sizes, max_repeat=20)
    assert exact["a/few"] == pytest.approx(20) and exact["b"] == pytest.approx(1)
    assert exact["a/many"] == pytest.approx((1000 - 2 * 20) / 100)


def test_a_branch_that_is_full_gives_to_its_parents_siblings():
    sizes = {"a/x": 1, "b/y": 10, "b/z": 1000}
    exact = multipliers(tree(sizes, {}), sizes, max_repeat=5)
    assert exact["a/x"] == pytest.approx(5) and exact["b/y"] == pytest.approx(5)
    assert exact["b/z"] == pytest.approx(1)


@given(counts)
def test_shares_add_up_to_one_and_do_not_depend_on_order(sizes):
    promised = shares(tree(sizes, {}))
    assert math.fsum(promised.values()) == pytest.approx(1)
    assert promised == shares(tree(dict(reversed(sizes.items())), {}))


@given(counts, st.sampled_from([0.5, 1, 3]))
def test_exact_multipliers_give_the_promised_shares_and_the_smallest_is_min_repeat(sizes, smallest):
    root = tree(sizes, {})
    exact, promised = multipliers(root, sizes, smallest), shares(root)
    total = sum(exact[name] * sizes[name] for name in sizes)
    assert min(exact.values()) == pytest.approx(smallest)
    for name in sizes:
        assert exact[name] * sizes[name] / total == pytest.approx(promised[name])


@given(counts, st.sampled_from([1, 1.5, 4, 50]))
def test_a_cap_is_never_exceeded_and_the_smallest_stays_min_repeat(sizes, cap):
    exact = multipliers(tree(sizes, {}), sizes, 1, cap)
    assert max(exact.values()) <= cap * (1 + 1e-6)
    assert min(exact.values()) == pytest.approx(1, rel=1e-6)


@given(counts)
def test_a_cap_that_nothing_reaches_changes_nothing(sizes):
    root = tree(sizes, {})
    assert multipliers(root, sizes, 1, 1e9) == pytest.approx(multipliers(root, sizes), rel=1e-6)


def test_whole_repeats_are_never_below_one():
    assert repeats({"a": 0.4}, {"a": 3}) == repeats({"a": 0.4}, {"a": 3}, "nearest") == {"a": 1}
