from collections import Counter
from fractions import Fraction
from math import ceil, floor

from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.core.seeded import rng
from train.data.sampler import SampledImage, bucket_batches, epoch_batches, epoch_length, exposures

SIZES = [(64, 64), (56, 72), (48, 80)]
entries_of_any_kind = st.lists(
    st.tuples(st.sampled_from(SIZES), st.integers(0, 500).map(lambda hundredths: hundredths / 100)),
    min_size=1,
    max_size=14,
).map(lambda rows: [SampledImage(f"image {index}", size, repeats) for index, (size, repeats) in enumerate(rows)])


def test_one_and_a_half_repeats_alternate_between_one_and_two():
    assert [exposures(1.5, 0.0, epoch) for epoch in range(4)] == [1, 2, 1, 2]
    assert [exposures(1.5, 0.5, epoch) for epoch in range(4)] == [2, 1, 2, 1]


def test_a_tenth_is_shown_once_in_ten_epochs_without_rounding_drift():
    assert sum(exposures(0.1, 0.95, epoch) for epoch in range(1000)) == 100


@settings(max_examples=60, deadline=None)
@given(entries_of_any_kind, st.integers(1, 8), st.integers(0, 9))
def test_over_any_number_of_epochs_every_image_is_shown_its_floor_or_ceiling(entries, batch_size, seed):
    shown = Counter()
    for epoch in range(6):
        shown.update(key for batch in epoch_batches(entries, batch_size, seed, epoch) for key in batch)
        for entry in entries:
            exact = Fraction(entry.repeats).limit_denominator(10**6) * (epoch + 1)
            assert floor(exact) <= shown[entry.key] <= ceil(exact)


@settings(max_examples=60, deadline=None)
@given(entries_of_any_kind, st.integers(1, 8), st.integers(0, 9))
def test_a_batch_holds_one_bucket_and_only_a_buckets_last_is_short(entries, batch_size, seed):
    by_key = {entry.key: entry for entry in entries}
    batches = epoch_batches(entries, batch_size, seed, 0)
    assert len(batches) == epoch_length(entries, batch_size, seed, 0)
    for bucket in SIZES:
        members = [batch for batch in batches if by_key[batch[0]].bucket == bucket]
        assert all(by_key[key].bucket == bucket for batch in members for key in batch)
        assert sum(len(batch) < batch_size for batch in members) <= 1


@settings(max_examples=100, deadline=None)
@given(
    st.dictionaries(st.sampled_from("abcdefgh"), st.integers(1, 9), min_size=1), st.integers(1, 8), st.integers(0, 9)
)
def test_nobody_is_twice_in_a_batch_while_another_waits(waiting, batch_size, seed):
    batches = bucket_batches(waiting, batch_size, rng("test", seed))
    assert Counter(key for batch in batches for key in batch) == Counter(waiting)
    for number, batch in enumerate(batches):
        if len(set(batch)) < len(batch):
            assert {key for later in batches[number + 1 :] for key in later} <= set(batch)


def test_the_image_with_most_exposures_left_is_the_one_repeated():
    assert [sorted(batch) for batch in bucket_batches({"a": 2, "b": 4}, 4, rng("test"))] == [
        ["a", "b", "b", "b"],
        ["a", "b"],
    ]


def test_a_short_bucket_keeps_its_images_and_only_its_last_batch_is_short():
    entries = [SampledImage(str(index), (64, 64), 1.0) for index in range(5)] + [SampledImage("lonely", (48, 80), 1.0)]
    sizes = sorted(len(batch) for batch in epoch_batches(entries, 4, 0, 0))
    assert sizes == [1, 1, 4]
    assert {key for batch in epoch_batches(entries, 4, 0, 0) for key in batch} == {"0", "1", "2", "3", "4", "lonely"}


def test_the_order_is_the_same_for_the_same_seed_and_epoch_and_differs_between_epochs():
    entries = [SampledImage(str(index), (64, 64), 1.0) for index in range(16)]
    assert epoch_batches(entries, 4, 1, 3) == epoch_batches(list(reversed(entries)), 4, 1, 3)
    assert epoch_batches(entries, 4, 1, 3) != epoch_batches(entries, 4, 1, 4)
    assert epoch_batches(entries, 4, 1, 3) != epoch_batches(entries, 4, 2, 3)
