"""Preservation: no image is made, and the base model's own prediction for the caption with a class word is learned."""

import json

import pytest
import torch
from quick_runs import QUICK, quiet, weights

from pipeline.stages import regularize
from pipeline.store.running.runner import run_stage
from train.data.batches import Batch
from train.data.dataset import Example, examples
from train.data.latent_cache import Latent
from train.data.step_inputs import draw_inputs, samples_of, shown_captions
from train.optimization.options import NoiseOptions
from train.options.recipe import make_recipe
from train.session import train_adapter

PRESERVED = regularize.Options(images="preservation", base="miniature", class_word="girl")


@pytest.fixture
def preserved(prepared):
    """The set with the base model's predictions to be preserved."""
    run_stage(prepared, regularize.STAGE, PRESERVED, quiet)
    return prepared


def losses(folder, which: str) -> list[list[float]]:
    """The losses of the regularization images, or the images, of each step."""
    lines = (folder / "log.jsonl").read_text(encoding="utf-8").splitlines()
    return [[loss for _, _, loss in json.loads(line)[which]] for line in lines]


def test_nothing_is_written_and_every_image_stands_for_itself_under_its_class_word(preserved):
    found = examples(preserved, make_recipe(**QUICK).dataset)
    assert not (preserved.root / "regularization").exists()
    for example in found:
        (own,) = example.reg_images
        assert own.preserved and own.image.content == example.image.content and own.image.size == example.image.size
        assert own.caption == example.caption.replace("Lumi", "girl")
        assert len(list(example.images())) == 1, "no latent more"
    assert regularize.missing(preserved, PRESERVED) == ""


def test_an_adapter_that_does_nothing_yet_is_at_no_distance_from_the_base_model(preserved):
    file = train_adapter(preserved, make_recipe(**QUICK), quiet).file
    first, *later = losses(file.parent, "reg_images")
    assert max(first) < 1e-8, "only rounding parts a batch of all from one of the preserved"
    assert max(max(step) for step in later) > 1e-8
    assert min(losses(file.parent, "images")[0]) > 1e-3


@pytest.mark.parametrize("more", [{}, {"train_text_encoder": True}])
def test_what_is_preserved_changes_what_is_learned_and_weight_0_leaves_it_out(preserved, more):
    held = weights(train_adapter(preserved, make_recipe(**QUICK | more), quiet).file)
    free = weights(
        train_adapter(preserved, make_recipe(**QUICK | more | {"name": "b", "prior_loss_weight": 0.0}), quiet).file
    )
    assert any(not torch.equal(held[key], free[key]) for key in free)


def test_the_base_model_is_asked_for_the_same_noisy_image_and_the_same_caption_but_for_its_first_word(preserved):
    recipe = make_recipe(**QUICK)
    batch = Batch(3, 0, examples(preserved, recipe.dataset)[:2])
    shown = draw_inputs(batch, NoiseOptions(), 420, Blank(), 1000)
    own, beside = shown.samples[:2], shown.samples[2:]
    assert [sample.preserved for sample in shown.samples] == [False, False, True, True]
    assert torch.equal(shown.noise[:2], shown.noise[2:]) and torch.equal(shown.times[:2], shown.times[2:])
    captions = shown_captions((*own, *beside), batch, recipe.captions, recipe.batches)
    assert [text.partition(", ")[2] for text in captions[:2]] == [text.partition(", ")[2] for text in captions[2:]]
    assert all(text.startswith("girl") for text in captions[2:])


class Blank:
    def read(self, image):
        return Latent(torch.zeros(4, 8, 8), torch.zeros(4, 8, 8))


@pytest.mark.parametrize(
    ("pair", "noise", "time"), [("noise", True, True), ("timestep", False, True), ("bucket", False, False)]
)
def test_what_a_reg_image_shares_with_its_image_is_a_choice(preserved, pair, noise, time):
    batch = Batch(3, 0, examples(preserved, make_recipe(**QUICK | {"reg_pair": pair}).dataset)[:1])
    shown = draw_inputs(batch, NoiseOptions(), 420, Blank(), 1000)
    assert torch.equal(shown.noise[0], shown.noise[1]) == noise
    assert (shown.times[0] == shown.times[1]).item() == time


def test_a_share_of_the_exposures_is_regularized(preserved):
    def beside(share: float) -> list[int]:
        found: tuple[Example, ...] = examples(preserved, make_recipe(**QUICK | {"reg_share": share}).dataset)
        return [len(samples_of(Batch(step, 0, found), 420)) - len(found) for step in range(200)]

    assert set(beside(1.0)) == {6}
    few = beside(0.25)
    assert 0.2 < sum(few) / 1200 < 0.3, "1200 draws of 1/4 are within four deviations of 0.0125"
    assert all(one <= other for one, other in zip(few, beside(0.5), strict=True)), (
        "a larger share adds, and moves nothing"
    )
