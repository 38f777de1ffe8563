"""What a step shows: views dealt, regularization images in turn, and the same draws for any share of a batch."""

from collections import Counter, defaultdict
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from random_sets import SIZES, sets

from pipeline.store.values.bucket import Bucket
from train.data.augmentation import ImageView
from train.data.batches import Batch, planned_batches
from train.data.color_jitter import Colour
from train.data.dataset import Example
from train.data.latent_cache import Latent
from train.data.regularization import RegImage
from train.data.sampler import SampledImage
from train.data.step_inputs import draw_inputs, samples_of
from train.distributed.world import World
from train.optimization.options import NoiseOptions
from train.options.recipe import make_recipe


class Blank:
    """A cache in which every latent is zero, with a spread of one."""

    def read(self, image: ImageView) -> Latent:
        width, height = image.size
        return Latent(torch.zeros(4, height // 8, width // 8), torch.ones(4, height // 8, width // 8))


def image(name: str, size=(64, 64)) -> ImageView:
    return ImageView(name, Path(f"{name}.png"), Bucket(size, size, (0, 0, *size)))


def example(
    key: str, reg_images: int = 0, views: int = 1, size=(64, 64), repeats: float = 1.0, matched=True
) -> Example:
    plain = image(key, size)
    shown = tuple(replace(plain, colour=Colour(1 + number / 10)) for number in range(views)) if views > 1 else ()
    beside = tuple(
        RegImage(image(f"{key} regularization image {number}", size), "1girl", matched) for number in range(reg_images)
    )
    return Example(SampledImage(key, size, repeats), "Lumi", plain, "Lumi", ("Lumi",), beside, shown)


def test_a_matched_reg_image_shares_every_draw_of_its_image_and_an_image_shown_again_has_its_own():
    one = example("a", reg_images=1)
    noise = NoiseOptions(noise_offset=0.1, noise_offset_random=True, ip_noise_gamma=0.1)
    drawn = draw_inputs(Batch(3, 0, (one, one), (0, 1)), noise, 420, Blank(), 1000)
    assert drawn.reg_images == 2 and [sample.reg_image is None for sample in drawn.samples] == [
        True,
        True,
        False,
        False,
    ]
    for row in (0, 1):
        assert torch.equal(drawn.noise[row], drawn.noise[row + 2])
        assert torch.equal(drawn.mixed[row], drawn.mixed[row + 2])
        assert drawn.times[row] == drawn.times[row + 2]
    assert not torch.equal(drawn.noise[0], drawn.noise[1])
    assert drawn.times[0] != drawn.times[1]
    assert not torch.equal(drawn.clean[0], drawn.clean[2]), "the sample of a regularization image's latent is its own"


def test_a_reg_image_that_was_given_has_draws_of_its_own():
    one = example("a", reg_images=1, matched=False)
    drawn = draw_inputs(Batch(3, 0, (one,)), NoiseOptions(), 420, Blank(), 1000)
    assert not torch.equal(drawn.noise[0], drawn.noise[1]) and drawn.times[0] != drawn.times[1]


def test_reg_images_are_left_out_where_they_count_nothing():
    batch = Batch(0, 0, (example("a", reg_images=2),))
    assert draw_inputs(batch, NoiseOptions(), 420, Blank(), 1000, regularized=False).reg_images == 0


@pytest.mark.parametrize("count", [1, 2, 3, 5])
def test_any_number_of_processes_draws_what_one_draws(count):
    noise = NoiseOptions(ip_noise_gamma=0.1)
    batch = Batch(
        7, 1, (example("a", 2, 3), example("b"), example("a", 2, 3), example("c", 1, matched=False)), (4, 0, 5, 2)
    )
    whole = draw_inputs(batch, noise, 420, Blank(), 1000)
    by_place = {sample.index: row for row, sample in enumerate(whole.samples)}
    assert sorted(by_place) == list(range(7))
    seen = []
    for rank in range(count):
        rows = World(rank, count).shard(range(len(batch.examples)))
        part = draw_inputs(batch, noise, 420, Blank(), 1000, rows=rows)
        for row, sample in enumerate(part.samples):
            place = by_place[sample.index]
            assert whole.samples[place] == sample
            for name in ("clean", "noise", "mixed", "times"):
                assert torch.equal(getattr(whole, name)[place], getattr(part, name)[row])
            seen.append(sample.index)
    assert sorted(seen) == list(range(7)), "every sample in one process, none in two"


def test_the_reg_images_of_an_image_take_turns():
    one = example("a", reg_images=3)
    shown = [samples_of(Batch(step, 0, (one,), (step,)), 420) for step in range(7)]
    assert [reg_image.image.content for _, reg_image in shown] == [
        f"a regularization image {n}" for n in (0, 1, 2, 0, 1, 2, 0)
    ]


def test_a_reg_image_goes_with_the_view_that_is_shown():
    one = example("a", reg_images=1, views=4)
    for step in range(4):
        own, reg_image = samples_of(Batch(step, 0, (one,), (step,)), 420)
        assert own.image in one.views and reg_image.image.colour == own.image.colour


def run(entries, start=0, reg_images=3, views=4, **options):
    found = [example(entry.key, reg_images, views, entry.bucket, entry.repeats) for entry in entries]
    recipe = make_recipe(**options)
    seed, batches = recipe.run.seed, planned_batches(recipe.batches, recipe.run.seed, found, start)
    return [(batch.step, batch.earlier, samples_of(batch, seed)) for batch in batches]


@settings(max_examples=25, deadline=None)
@given(sets(), st.integers(1, 5), st.integers(0, 3), st.integers(1, 40), st.data())
def test_a_run_resumed_anywhere_shows_the_same_views_and_reg_images(entries, size, seed, steps, data):
    entries = [*entries, SampledImage("whole", SIZES[0], 1.0)]  # no epoch is empty
    options = {"batch_size": size, "seed": seed, "steps": steps}
    whole, start = run(entries, **options), data.draw(st.integers(0, steps))
    assert run(entries, start, **options) == whole[start:]


@settings(max_examples=25, deadline=None)
@given(sets(), st.integers(1, 5), st.integers(0, 3), st.integers(1, 6))
def test_over_a_run_every_reg_image_and_every_view_of_an_image_is_used_as_often_as_the_others(
    entries, size, seed, epochs
):
    """kohya-ss/sd-scripts never uses the regularization images beyond the number of training images."""
    used, viewed, times = defaultdict(Counter), defaultdict(Counter), Counter()
    for _, earlier, samples in run(entries, batch_size=size, seed=seed, epochs=epochs):
        own = [sample for sample in samples if sample.reg_image is None]
        for sample, before in zip(own, earlier, strict=True):
            assert before == times[sample.example.entry.key]
            times[sample.example.entry.key] += 1
            viewed[sample.example.entry.key][sample.image.key] += 1
        for sample in samples:
            if sample.reg_image is not None:
                used[sample.example.entry.key][sample.reg_image.image.content] += 1
    for key, shown in times.items():
        reg_images = [used[key][f"{key} regularization image {number}"] for number in range(3)]
        assert sum(reg_images) == shown and max(reg_images) - min(reg_images) <= 1
        assert max(viewed[key].values()) - min([*viewed[key].values(), *[0] * (len(viewed[key]) < 4)]) <= 1


def test_flips_of_a_step_are_not_bound_to_each_other():
    """kohya-ss/sd-scripts' workers draw the same numbers after an epoch, so that flips and shuffles go together."""
    found = [example(f"{number:02}", views=2) for number in range(40)]
    batch = Batch(0, 0, tuple(found), (0,) * 40)
    first = Counter(sample.image == sample.example.views[0] for sample in samples_of(batch, 420))
    assert 10 <= first[True] <= 30
