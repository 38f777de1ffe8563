"""The order of images, held against what other trainers are known to lose."""

import random
from collections import Counter
from fractions import Fraction
from math import ceil, floor
from types import SimpleNamespace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from random_sets import SIZES, exposures_of, planned, sets

from train.data.batches import planned_batches, total_steps
from train.data.options import BatchOptions
from train.data.sampler import SampledImage, epoch_batches, epoch_length


@settings(max_examples=50, deadline=None)
@given(sets(), st.integers(1, 8), st.integers(0, 5), st.integers(1, 5))
def test_over_a_run_of_epochs_every_image_is_shown_its_floor_or_ceiling_and_none_is_lost(entries, size, seed, epochs):
    shown = exposures_of(planned(entries, batch_size=size, seed=seed, epochs=epochs))
    for entry in entries:
        exact = Fraction(entry.repeats).limit_denominator(100) * epochs
        assert floor(exact) <= shown[entry.key] <= ceil(exact)
        assert shown[entry.key] == exact or exact.denominator > 1


@settings(max_examples=50, deadline=None)
@given(sets(), st.integers(1, 8), st.integers(0, 5), st.integers(1, 60), st.data())
def test_a_run_resumed_anywhere_shows_the_same_batches(entries, size, seed, steps, data):
    entries = [*entries, SampledImage("whole", SIZES[0], 1.0)]  # no epoch is empty
    options = {"batch_size": size, "seed": seed, "steps": steps}
    whole = planned(entries, **options)
    assert [step for step, _, _ in whole] == list(range(steps))
    start = data.draw(st.integers(0, steps))
    assert planned(entries, start, **options) == whole[start:]


@settings(max_examples=50, deadline=None)
@given(sets(), st.integers(1, 8), st.integers(0, 5), st.integers(1, 60), st.data())
def test_a_batch_knows_how_often_each_of_its_images_came_before_also_where_a_run_is_resumed(
    entries, size, seed, steps, data
):
    entries = [*entries, SampledImage("whole", SIZES[0], 1.0)]
    examples = [SimpleNamespace(entry=entry) for entry in entries]
    options, start = BatchOptions(batch_size=size, steps=steps), data.draw(st.integers(0, steps))
    counts: Counter[str] = Counter()
    whole = list(planned_batches(options, seed, examples, 0))
    for batch in whole:
        for example, earlier in zip(batch.examples, batch.earlier, strict=True):
            assert earlier == counts[example.entry.key]
            counts[example.entry.key] += 1
    assert [batch.earlier for batch in planned_batches(options, seed, examples, start)] == [
        batch.earlier for batch in whole[start:]
    ]


@settings(max_examples=50, deadline=None)
@given(sets(), st.integers(1, 8), st.integers(0, 5))
def test_a_longer_run_begins_as_the_shorter_one(entries, size, seed):
    short, longer = (planned(entries, batch_size=size, seed=seed, epochs=epochs) for epochs in (2, 4))
    assert longer[: len(short)] == short
    examples = [SimpleNamespace(entry=entry) for entry in entries]
    assert total_steps(BatchOptions(batch_size=size, epochs=2), seed, examples) == len(short)
    assert len(short) == sum(epoch_length(entries, size, seed, epoch) for epoch in range(2))


@settings(max_examples=60, deadline=None)
@given(st.integers(1, 40), st.integers(1, 8), st.integers(1, 5), st.integers(0, 5))
def test_images_of_equal_repeats_never_meet_themselves_where_there_are_enough(count, size, repeats, seed):
    entries = [SampledImage(f"{index:02}", SIZES[0], float(repeats)) for index in range(count)]
    for keys in epoch_batches(entries, size, seed, 0):
        assert len(set(keys)) == min(len(keys), count)


# --- what others lose


def kohyas_epoch(images: int, repeats: int, batch_size: int, workers: int, seed: int, epoch: int) -> Counter:
    """An epoch as kohya-ss/sd-scripts 0.10.1 shows it: a worker learns which epoch it is only after its first batch, which
    it cuts from the order of the very first epoch."""

    def order(of_epoch: int) -> list[tuple[int, ...]]:
        draw, exposures = random.Random(seed + of_epoch), [number for number in range(images) for _ in range(repeats)]
        draw.shuffle(exposures)
        batches = [tuple(exposures[start : start + batch_size]) for start in range(0, len(exposures), batch_size)]
        draw.shuffle(batches)
        return batches

    first, now = order(0), order(epoch)
    loaded = list(range(len(now)))
    random.Random(f"loader {seed} {epoch}").shuffle(loaded)
    return Counter(number for turn, place in enumerate(loaded) for number in (first if turn < workers else now)[place])


def missed(counts: Counter, images: int, repeats: int) -> float:
    """Share of an epoch's exposures that should have been and were not."""
    return sum(max(0, repeats - counts[number]) for number in range(images)) / (images * repeats)


@pytest.mark.parametrize(("images", "repeats", "expected"), [(85, 1, 0.23), (20, 10, 0.066)])
def test_kohyas_workers_miss_part_of_every_epoch_and_ours_miss_nothing(images, repeats, expected):
    epochs = [kohyas_epoch(images, repeats, 4, 8, 1, epoch) for epoch in range(1, 41)]
    assert sum(missed(counts, images, repeats) for counts in epochs) / 40 == pytest.approx(expected, abs=0.025)
    entries = [SampledImage(str(number), SIZES[0], float(repeats)) for number in range(images)]
    for epoch in range(1, 5):
        ours = Counter(int(key) for keys in epoch_batches(entries, 4, 1, epoch) for key in keys)
        assert missed(ours, images, repeats) == 0 and ours.total() == images * repeats


def test_dropping_what_fills_no_batch_loses_whole_sizes_for_good_and_ours_loses_none():
    counts = {SIZES[0]: 10, SIZES[1]: 3, SIZES[2]: 5, SIZES[3]: 2}
    dropped = {size: count % 4 for size, count in counts.items()}
    assert sum(dropped.values()) == 8 and dropped[SIZES[1]] == counts[SIZES[1]], "8 of 20, and two sizes wholly"
    entries = [SampledImage(f"{size} {number}", size, 1.0) for size, count in counts.items() for number in range(count)]
    for epoch in range(3):
        shown = Counter(key for keys in epoch_batches(entries, 4, 0, epoch) for key in keys)
        assert shown == Counter(entry.key for entry in entries)
