import pytest
from hypothesis import given
from hypothesis import strategies as st

from train.optimization.schedules import DECAYING, rate_factor, warmup_updates


def rates(schedule: str, updates: int, **options: float) -> list[float]:
    return [rate_factor(update, updates, schedule, **options) for update in range(updates)]


def test_each_schedule_by_hand():
    assert rates("constant", 3) == [1.0, 1.0, 1.0]
    assert rates("linear", 4) == pytest.approx([1.0, 0.75, 0.5, 0.25])
    assert rates("cosine", 4) == pytest.approx([1.0, 0.5 + 0.125**0.5, 0.5, 0.5 - 0.125**0.5])
    assert rates("cosine_with_restarts", 4, num_cycles=2) == pytest.approx([1.0, 0.5, 1.0, 0.5])
    assert rates("polynomial", 4, power=2.0) == pytest.approx([1.0, 9 / 16, 1 / 4, 1 / 16])
    assert rates("linear", 4, min_lr_ratio=0.2) == pytest.approx([1.0, 0.8, 0.6, 0.4])


def test_a_warm_up_rises_in_equal_steps_and_every_update_moves_something():
    assert rates("constant_with_warmup", 6, warmup=4) == pytest.approx([0.25, 0.5, 0.75, 1.0, 1.0, 1.0])
    assert rates("linear", 6, warmup=2) == pytest.approx([0.5, 1.0, 1.0, 0.75, 0.5, 0.25])


def test_a_warm_up_is_so_many_updates_or_a_share_of_them():
    assert warmup_updates(7, 0.0, 100) == 7
    assert warmup_updates(0, 0.1, 95) == 10
    assert warmup_updates(0, 0.0, 100) == 0


@given(
    st.sampled_from(("constant_with_warmup", *DECAYING)),
    st.integers(1, 300),
    st.integers(0, 400),
    st.integers(1, 5),
    st.floats(0.1, 4.0),
    st.floats(0.0, 0.9),
)
def test_a_rate_is_above_zero_and_never_above_the_one_given(schedule, updates, warmup, num_cycles, power, min_lr_ratio):
    options = {"warmup": warmup, "num_cycles": num_cycles, "power": power, "min_lr_ratio": min_lr_ratio}
    assert all(0 < rate <= 1 + 1e-12 for rate in rates(schedule, updates, **options))


@given(st.sampled_from(("linear", "cosine", "polynomial")), st.integers(2, 100), st.integers(0, 20))
def test_a_decaying_rate_never_rises_after_the_warm_up(schedule, updates, warmup):
    after = rates(schedule, updates, warmup=warmup)[warmup:]
    assert after == sorted(after, reverse=True)
