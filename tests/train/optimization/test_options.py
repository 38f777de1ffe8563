import pytest

from train.optimization.options import ScheduleOptions


@pytest.mark.parametrize(
    ("options", "scheduler", "updates", "said"),
    [
        ({"warmup_steps": 12}, "cosine", 12, "warmup_steps is 12, 12 updates of warm-up, but the run makes 12"),
        ({"warmup_steps": 500}, "constant_with_warmup", 12, "the learning rate would rise to the end"),
        ({"warmup_share": 0.99}, "linear", 20, "warmup_share is 0.99, 20 updates of warm-up"),
        ({"num_cycles": 50}, "cosine_with_restarts", 12, "num_cycles is 50, but the run makes 12 updates"),
        ({"num_cycles": 6, "warmup_steps": 1}, "cosine_with_restarts", 12, "makes 11 updates after the warm-up"),
    ],
)
def test_what_takes_longer_than_the_run_is_refused(options, scheduler, updates, said):
    ((what, hint),) = ScheduleOptions(scheduler=scheduler, **options).never_reached(scheduler, updates)
    assert said in what and "train for longer" in hint


def test_what_fits_into_the_run_is_let_be():
    for options, scheduler in (
        ({"warmup_steps": 11}, "cosine"),
        ({"num_cycles": 6}, "cosine_with_restarts"),
        ({}, "constant"),
        ({}, "cosine_with_restarts"),
    ):
        assert not list(ScheduleOptions(scheduler=scheduler, **options).never_reached(scheduler, 12))
