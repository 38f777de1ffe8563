import json
from pathlib import Path
from typing import get_args, get_type_hints

import pytest

from pipeline.config.settings import Settings, resolved
from pipeline.core.errors import PrepError
from train.optimization.optimizers import KINDS
from train.optimization.options import OptimizerOptions
from train.options.recipe import Recipe, make_recipe, recipe_of, recipe_values


@pytest.mark.parametrize(
    ("field", "value", "words"),
    [
        ("rank", 0, "at least 1"),
        ("unet_lr", -1e-4, "0 or more"),
        ("caption_dropout", 1.5, "from 0 to 1"),
        ("min_snr_gamma", -1.0, "above 0"),
        ("name", "../evil", "a plain file name"),
        ("name", "", "a plain file name"),
        ("steps", 0, "at least 1"),
        ("prior_loss_weight", -0.5, "0 or more"),
        ("gradient_accumulation_steps", -1, "at least 1, or 0"),
        ("huber_c", 2.0, "above 0 and at most 1"),
        ("noise_offset", -0.1, "0 or more"),
        ("multires_discount", 0.0, "above 0 and at most 1"),
        ("warmup_share", 1.0, "below 1"),
        ("min_lr_ratio", 1.0, "below 1"),
    ],
)
def test_a_value_out_of_range_is_refused_with_the_value_seen(field, value, words):
    with pytest.raises(PrepError, match=words) as caught:
        make_recipe(**{field: value})
    assert f"{field} is {value!r}" in caught.value.message
    assert field in caught.value.hint


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"scheduler": "constant", "warmup_steps": 10}, "constant scheduler has no warm-up"),
        ({"scheduler": "constant", "warmup_share": 0.1}, "constant scheduler has no warm-up"),
        ({"warmup_steps": 10, "warmup_share": 0.1}, "both say how long"),
        ({"weighting": "debiased", "min_snr_gamma": 3.0}, "does nothing with weighting = 'debiased'"),
        ({"huber_c": 0.2}, "does nothing with loss = 'l2'"),
        ({"loss": "l1", "huber_schedule": "constant"}, "does nothing with loss = 'l1'"),
        ({"num_cycles": 3}, "does nothing with scheduler = 'cosine'"),
        ({"scheduler": "linear", "power": 2.0}, "does nothing with scheduler = 'linear'"),
        ({"scheduler": "constant", "min_lr_ratio": 0.1}, "does nothing with scheduler = 'constant'"),
        ({"optimizer": "Prodigy", "min_lr_ratio": 0.1}, "does nothing with scheduler = 'constant'"),
        ({"text_encoder_lr": 1e-4}, "the text encoder is not trained"),
        ({"adaptive_noise_scale": 0.01}, "changes noise_offset, which is 0"),
        ({"noise_offset_random": True}, "changes noise_offset, which is 0"),
        ({"multires_discount": 0.1}, "does nothing while multires_iterations is 0"),
        ({"noise_offset": 0.1, "multires_iterations": 6}, "together they overdo it"),
        ({"zero_terminal_snr": True, "noise_offset": 0.1}, "correct the same problem"),
        ({"zero_terminal_snr": True, "multires_iterations": 6}, "correct the same problem"),
        ({"optimizer": "SGDNesterov"}, "no learning rate that suits in general"),
        ({"optimizer": "Prodigy", "unet_lr": 1e-4}, "adapts its learning rate by itself"),
        (
            {"optimizer": "DAdaptAdam", "train_text_encoder": True, "text_encoder_lr": 0.5},
            "adapts one learning rate for all weights",
        ),
        ({"patience": 3, "validation": "none"}, "no loss is measured"),
        ({"patience": 3}, "at start and end only"),
        ({"validation": "training", "validation_share": 0.1}, "does nothing with validation = 'training'"),
        ({"validation": "none", "validation_times": 2}, "does nothing with validation = 'none'"),
        ({"keep_last": 3}, "no snapshots are saved"),
        ({"sample_every_epochs": 1}, "no prompts to generate"),
        ({"random_crop": True, "face_crop": (1.0, 1.5)}, "both place the crop"),
        ({"variants": 8}, "nothing varies the images"),
        ({"flip_guard": ("mole",)}, "nothing is mirrored"),
        ({"flip": True, "flip_guard": ("-",)}, "a word without letters"),
        ({"optimizer": "ScheduleFreeAdamW", "scheduler": "cosine"}, "averages its weights"),
        ({"optimizer": "ScheduleFreeAdamW", "scale_weight_norms": 1.0}, "only one of the two sequences"),
    ],
)
def test_options_that_exclude_each_other_or_would_do_nothing_are_refused_with_the_reason(options, words):
    with pytest.raises(PrepError, match=words) as caught:
        make_recipe(**options)
    assert caught.value.hint


def test_several_conflicts_are_reported_at_once():
    with pytest.raises(PrepError) as caught:
        make_recipe(num_cycles=3, huber_c=0.2)
    assert "num_cycles" in caught.value.message and "huber_c" in caught.value.message


def test_rates_suit_the_optimizer_and_the_algorithm_unless_given():
    assert make_recipe().lrs == pytest.approx((5e-4, 1e-4))
    assert make_recipe(algorithm="loha").lrs[0] == pytest.approx(2e-4)
    assert make_recipe(optimizer="Lion").lrs == pytest.approx((1e-4, 2e-5))
    assert make_recipe(optimizer="Prodigy").lrs == (1.0, 1.0)
    assert make_recipe(optimizer="Prodigy", unet_lr=0.5).lrs == (0.5, 0.5)
    assert make_recipe(unet_lr=1e-3).lrs == pytest.approx((1e-3, 2e-4))
    assert make_recipe(train_text_encoder=True, text_encoder_lr=3e-5).lrs == pytest.approx((5e-4, 3e-5))


def test_the_schedule_suits_the_optimizer_unless_given():
    assert make_recipe().scheduler == "cosine"
    assert make_recipe(optimizer="DAdaptLion").scheduler == "constant"
    assert make_recipe(optimizer="ScheduleFreeAdamW", warmup_share=0.1).scheduler == "constant_with_warmup"
    assert make_recipe(optimizer="Prodigy", scheduler="cosine").scheduler == "cosine"


def test_every_optimizer_that_can_be_named_has_its_class():
    assert set(get_args(get_type_hints(OptimizerOptions)["optimizer"])) == set(KINDS)


def test_a_recipe_comes_back_from_its_json():
    recipe = make_recipe(
        optimizer="Prodigy",
        optimizer_args={"d_coef": "0.5"},
        loss="huber",
        multires_iterations=6,
        face_crop=(1.0, 1.5),
        sample_file=Path("prompts.txt"),
        sample_prompts=("1girl --d 3",),
    )
    assert recipe_of(json.loads(json.dumps(recipe_values(recipe)))) == recipe


def test_a_rate_of_zero_leaves_that_part_out_and_the_others_keep_theirs():
    recipe = make_recipe(train_text_encoder=True, text_encoder_lr=0.0, text_encoder_2_lr=0.0)
    assert recipe.left_out == {"te", "te1", "te2"} and not recipe.trains_text_encoder
    recipe = make_recipe(train_text_encoder=True, unet_lr=0.0)
    assert recipe.lrs == pytest.approx((0.0, 1e-4)) and recipe.left_out == {"unet"}
    recipe = make_recipe(train_text_encoder=True, text_encoder_2_lr=0.0)
    assert recipe.left_out == {"te2"} and recipe.trains_text_encoder
    with pytest.raises(PrepError, match="unet_lr is 0, and the text encoder is not trained: nothing would be trained"):
        make_recipe(unet_lr=0.0)
    with pytest.raises(PrepError, match="unet_lr is 0, and text_encoder_lr too: nothing would be trained"):
        make_recipe(unet_lr=0.0, train_text_encoder=True, text_encoder_lr=0.0)


def test_steps_and_epochs_in_one_place_are_an_error_and_the_higher_layer_goes_before():
    def of(file, flags):
        return resolved("train", Recipe, Settings(stages={"train": file}), flags).options.batches

    for file, flags in (({"steps": 9, "epochs": 2}, {}), ({}, {"steps": 9, "epochs": 2})):
        with pytest.raises(PrepError, match="gives steps = 9 and epochs = 2, which say the same thing twice"):
            of(file, flags)
    assert (of({"steps": 9}, {"epochs": 2}).steps, of({"steps": 9}, {"epochs": 2}).epochs) == (None, 2)
    assert of({"epochs": 2}, {"steps": 9}).steps == 9
