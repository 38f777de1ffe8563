"""When accumulated gradients become an update, over the run or with every epoch."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.core.errors import PrepError
from train.data.accumulation import UpdateWindows
from train.options.recipe import make_recipe


def test_the_last_update_may_see_fewer_batches():
    assert [UpdateWindows(4, batches).all_updates for batches in (1, 4, 5, 8)] == [1, 1, 2, 2]


def test_ten_epochs_of_25_batches_8_at_a_time_are_32_updates_and_40_as_in_kohyas_trainer():
    ends = tuple(range(25, 250, 25))
    assert (UpdateWindows(8, 250).all_updates, UpdateWindows(8, 250, ends).all_updates) == (32, 40)
    closed = [done for done in range(1, 251) if UpdateWindows(8, 250, ends).closes(done)]
    assert closed[:8] == [8, 16, 24, 25, 33, 41, 49, 50]


def test_epochs_of_different_lengths_are_counted_each_for_itself():
    windows = UpdateWindows(2, 9, (3, 5))  # 1 2 | 3 || 4 5 || 6 7 | 8 9
    assert [done for done in range(1, 10) if windows.closes(done)] == [2, 3, 5, 7, 9]
    assert [windows.updates(done) for done in (2, 3, 5, 7, 9)] == [1, 2, 3, 4, 5]


@given(st.integers(1, 9), st.lists(st.integers(1, 12), min_size=1, max_size=8), st.booleans())
def test_every_update_is_counted_when_it_is_made(steps, lengths, by_epoch):
    total = sum(lengths)
    ends = tuple(sum(lengths[:place]) for place in range(1, len(lengths))) if by_epoch else ()
    windows = UpdateWindows(steps, total, ends)
    closed = [done for done in range(1, total + 1) if windows.closes(done)]
    assert [windows.updates(done) for done in closed] == list(range(1, len(closed) + 1))
    assert closed[-1] == total and windows.all_updates == len(closed)


def test_a_window_without_accumulation_is_refused():
    with pytest.raises(PrepError, match="accumulation_window is 'epoch', but every batch is an update"):
        make_recipe(base="miniature", accumulation_window="epoch")
