import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.images.buckets.buckets import bucket_list, choose, fit
from pipeline.images.buckets.fewer_buckets import BucketBounds, Crowd, shorter

AT_512 = BucketBounds(64, 256, 1024)


def spread(count=4001, narrowest=0.4, widest=2.5):
    """Images of evenly spread logarithms of aspect ratios, so large that rounding does not matter."""
    aspects = np.exp(np.linspace(np.log(narrowest), np.log(widest), count))
    return np.rint(np.stack([4e6 * np.sqrt(aspects), 4e6 / np.sqrt(aspects)], 1)).astype(np.int64)


def test_the_advice_of_320_to_768_at_512_loses_nothing():
    crowd = Crowd(spread())
    whole = crowd.attempt(AT_512, 512, "kohya")
    short = crowd.attempt(BucketBounds(64, 320, 768), 512, "kohya")
    assert (whole.sizes, short.sizes) == (17, 9)
    assert whole.mean == pytest.approx(short.mean) == pytest.approx(0.0573, abs=0.0001)


def test_the_shorter_bucket_list_is_found():
    now, best = shorter(Crowd(spread()), AT_512, 512, "nearest")
    assert (best.bounds, best.sizes) == (BucketBounds(64, 320, 768), 9)
    assert best.mean == pytest.approx(now.mean) and best.worst == pytest.approx(now.worst)


def test_nothing_is_proposed_where_nothing_is_gained():
    assert shorter(Crowd(spread()), BucketBounds(64, 320, 768), 512, "nearest") is None
    exact = np.array(bucket_list(512 * 512, 64, 256, 1024)) * 10
    assert shorter(Crowd(exact), AT_512, 512, "nearest") is None, "every size holds an image that loses nothing"


def test_room_is_kept_for_images_twice_as_long_as_wide():
    _, best = shorter(Crowd(np.full((50, 2), 700)), AT_512, 512, "nearest")
    assert best.widest >= 2 and best.bounds.step == 64


def test_cuts_worked_by_hand():
    images = np.array([(1000, 1000), (1000, 900), (2000, 1000)])
    trial = Crowd(images).attempt(BucketBounds(64, 256, 1024), 512, "nearest")
    kept = (1.0, 0.9, (640 / 384) / 2.0), (1.0, 0.9, 2.0 / (704 / 320))
    assert trial.mean == pytest.approx(1 - sum(max(each) for each in zip(*kept, strict=True)) / 3)
    assert trial.worst == pytest.approx(0.1) and trial.used == 2


@given(st.lists(st.tuples(st.integers(1, 9000), st.integers(1, 9000)), min_size=1, max_size=60))
def test_a_trial_agrees_with_fitting_every_image(images):
    trial = Crowd(np.array(images)).attempt(AT_512, 512, "nearest")
    buckets = bucket_list(512 * 512, 64, 256, 1024)
    chosen = [choose((width * 1024, height * 1024), buckets) for width, height in images]
    losses = [fit((w * 1024, h * 1024), size).loss for (w, h), size in zip(images, chosen, strict=True)]
    assert trial.mean == pytest.approx(sum(losses) / len(losses), abs=0.004)
    assert trial.worst == pytest.approx(max(losses), abs=0.004)
    assert trial.used == len(set(chosen))
