"""Regularization images are assigned in passes: each is used as often as the others, and every image has one."""

from collections import Counter

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.concepts.regularization.assignment import assign_round_robin, turns_wanted


def deal(shares, items: int, seed: int = 0, room: int = 10_000) -> list[list[int]]:
    turns = turns_wanted(shares, items, room)
    return assign_round_robin(shares, [1.0] * len(shares), [1.0] * items, turns, np.random.default_rng(seed))


@settings(max_examples=60)
@given(
    st.lists(st.sampled_from([1.0, 1.25, 2.0, 3.5, 24.0]), min_size=1, max_size=30),
    st.integers(1, 40),
    st.integers(0, 9),
)
def test_every_card_is_dealt_as_often_as_the_others_and_nobody_goes_empty(shares, items, seed):
    assignments = deal(shares, items, seed)
    uses = Counter(item for assigned in assignments for item in assigned)
    assert set(uses) == set(range(items)) and max(uses.values()) - min(uses.values()) <= 1
    assert all(assignments) and assignments == deal(shares, items, seed)


@settings(max_examples=40)
@given(st.integers(1, 25), st.integers(1, 25), st.integers(0, 9))
def test_images_shown_equally_often_use_every_given_one_within_one_at_any_time(takers, items, seed):
    assignments = deal([1.0] * takers, items, seed)
    used: Counter[int] = Counter(dict.fromkeys(range(items), 0))
    for showing in range(min(map(len, assignments))):
        used.update(assigned[showing] for assigned in assignments)
        assert max(used.values()) - min(used.values()) <= 1


def test_over_a_long_run_of_any_balance_the_given_ones_are_used_nearly_equally():
    shares = [1.0, 1.0, 1.37, 2.0, 2.9, 7.25, 1.0, 24.0]
    assignments = deal(shares, 11)
    used: Counter[int] = Counter()
    for share, assigned in zip(shares, assignments, strict=True):
        used.update(assigned[showing % len(assigned)] for showing in range(round(100 * share)))
    assert max(used.values()) / min(used.values()) < 1.03


def test_turns_are_worked_by_hand():
    # 3 equal players and 5 cards: 16 turns each are 48, so 50 and more; of 50, 55, 60 … 60 is shared evenly
    assert turns_wanted([1, 1, 1], 5, 10_000) == 60
    assert turns_wanted([1, 1, 1], 1, 10_000) == 3
    assert turns_wanted([1.0] * 10, 1000, 10_000) == 1000
    # without room for more, everybody gets one
    assert turns_wanted([1.0] * 100, 7, 50) == 105


def test_wide_cards_go_to_wide_players():
    assignments = assign_round_robin([1, 1, 1], [0.5, 2.0, 1.0], [1.0, 0.4, 2.2], 9, np.random.default_rng(0))
    assert assignments == [[1, 1, 1], [2, 2, 2], [0, 0, 0]]


def test_a_player_with_a_small_share_gets_a_card_all_the_same():
    assert all(assign_round_robin([1000.0, 1.0], [1, 1], [1, 1], 4, np.random.default_rng(0)))
