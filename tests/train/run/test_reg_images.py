"""Regularization images are sampled once and trained beside their images, with the same draws."""

from pathlib import Path

import torch
from decided import scored, trigger
from quick_runs import QUICK, quiet, weights

from pipeline.concepts.regularization.class_words import ClassWords
from pipeline.stages import regularize
from pipeline.store.values.bucket import Bucket
from train.data.batches import Batch
from train.data.dataset import Example, examples
from train.data.latent_cache import ImageView, Latent
from train.data.regularization import RegImage
from train.data.sampler import SampledImage
from train.data.step_inputs import draw_inputs
from train.optimization.options import NoiseOptions
from train.options.recipe import make_recipe
from train.session import train_adapter


def test_reg_images_are_sampled_once_marked_and_trained_beside_their_images(prepared):
    options = regularize.Options(base="miniature", steps=2, device="cpu")
    plan = regularize.plan(prepared, options)
    with prepared.transaction():
        prepared.put_decisions(prepared.begin_run("regularize", {}, ""), plan.fields, plan.decisions)
    assert regularize.missing(prepared, options).startswith("6 regularization images are not there")
    assert regularize.work(prepared, options, quiet).counts == {"images_made": 6, "images_already_there": 0}
    assert regularize.work(prepared, options, quiet).counts == {"images_made": 0, "images_already_there": 6}
    assert regularize.missing(prepared, options) == ""
    assert (
        regularize.work(prepared, regularize.Options(base="miniature", steps=3, device="cpu"), quiet).counts[
            "images_made"
        ]
        == 6
    )
    found = examples(prepared, make_recipe(**QUICK).dataset)
    assert all(
        [reg_image.image.size for reg_image in example.reg_images] == [example.image.size]
        and [reg_image.caption for reg_image in example.reg_images] == [example.caption]
        for example in found
    )
    assert (prepared.root / "regularization/Lumi/0 ✨ [x].txt").read_text(encoding="utf-8").strip() == found[0].caption
    with_reg_images = weights(train_adapter(prepared, make_recipe(**QUICK), quiet).file)
    without = weights(
        train_adapter(prepared, make_recipe(**QUICK | {"prior_loss_weight": 0.0, "name": "alone"}), quiet).file
    )
    assert any(not torch.equal(with_reg_images[key], without[key]) for key in without)


def test_a_reg_image_without_the_trigger_leaves_the_added_words_out():
    tags = [trigger("Lumi"), scored("smile")]
    assert ClassWords(trigger="remove").prompt("Lumi, 1girl, smile", tags, "Lumi").text == "1girl, smile"
    assert ClassWords(trigger="keep").prompt("Lumi, 1girl, smile", tags, "Lumi").text == "Lumi, 1girl, smile"


def test_a_reg_image_shares_every_draw_of_its_image_and_an_image_shown_again_has_its_own():
    class Blank:
        def read(self, image):
            return Latent(torch.zeros(4, 8, 8), torch.zeros(4, 8, 8))

    image = ImageView("content", Path("x.png"), Bucket.whole((64, 64)))
    reg_image = ImageView("regularization", Path("y.png"), Bucket.whole((64, 64)))
    example = Example(
        SampledImage("a", (64, 64), 1.0), "Lumi", image, "Lumi", ("Lumi",), (RegImage(reg_image, "1girl"),)
    )
    noise = NoiseOptions(noise_offset=0.1, noise_offset_random=True, ip_noise_gamma=0.1)
    drawn = draw_inputs(Batch(3, 0, (example, example)), noise, 420, Blank(), 1000)
    assert drawn.reg_images == 2
    for row in (0, 1):
        assert torch.equal(drawn.noise[row], drawn.noise[row + 2])
        assert torch.equal(drawn.mixed[row], drawn.mixed[row + 2])
        assert drawn.times[row] == drawn.times[row + 2]
    assert not torch.equal(drawn.noise[0], drawn.noise[1])
    assert drawn.times[0] != drawn.times[1]
