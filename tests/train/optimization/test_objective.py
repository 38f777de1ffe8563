import pytest
import torch
from tolerance import rounding

from pipeline.core.errors import PrepError
from train.models.load import load_base
from train.models.sampling.noise_schedule import noised, training_alphas_cumprod, zero_terminal_snr
from train.optimization.objective import (
    batch_loss,
    debiased_weight,
    element_losses,
    huber_widths,
    min_snr_weight,
    target,
    timestep_weights,
)
from train.options.recipe import make_recipe


def test_min_snr_weight_by_hand():
    snr = torch.tensor([10.0, 5.0, 1.0])
    assert min_snr_weight(snr, 5.0).tolist() == pytest.approx([0.5, 1.0, 1.0])
    assert min_snr_weight(snr, 5.0, "v_prediction").tolist() == pytest.approx([5 / 11, 5 / 6, 0.5])


def test_noising_keeps_the_share_the_level_says():
    clean, noise = torch.full((1, 1, 1, 1), 2.0), torch.full((1, 1, 1, 1), 1.0)
    assert noised(clean, noise, torch.tensor([0.36])).item() == pytest.approx(0.6 * 2 + 0.8 * 1)


def test_the_velocity_target_by_hand_and_the_epsilon_target_is_the_noise():
    clean, noise, alpha_prod = torch.full((1, 1, 1, 1), 2.0), torch.full((1, 1, 1, 1), 1.0), torch.tensor([0.36])
    assert target(clean, noise, alpha_prod, "v_prediction").item() == pytest.approx(0.6 * 1 - 0.8 * 2)
    assert target(clean, noise, alpha_prod, "epsilon") is noise


def test_debiased_weight_by_hand():
    snr = torch.tensor([0.01, 1.0, 4.0, 1e6])
    assert debiased_weight(snr).tolist() == pytest.approx([10.0, 1.0, 0.5, 1 / 1000**0.5])
    assert debiased_weight(torch.tensor([3.0]), "v_prediction").tolist() == pytest.approx([0.25])


def test_the_recipe_chooses_the_weights():
    alpha_prod = torch.tensor([10 / 11, 0.5])
    assert timestep_weights(alpha_prod, "none", 5.0, "epsilon").tolist() == [1.0, 1.0]
    close = rounding(1) * 11  # 1 - 10 / 11 leaves a number 11 times smaller than what was rounded
    assert timestep_weights(alpha_prod, "min-snr", 5.0, "epsilon").tolist() == pytest.approx([0.5, 1.0], rel=close)
    assert timestep_weights(alpha_prod, "debiased", 5.0, "epsilon").tolist() == pytest.approx(
        [0.1**0.5, 1.0], rel=close
    )


def test_zero_terminal_snr_by_hand_and_doing_it_again_changes_nothing():
    alphas_cumprod = zero_terminal_snr(torch.tensor([0.81, 0.25, 0.01]))  # roots 0.9, 0.5, 0.1 become 0.9, 0.45, 0
    assert alphas_cumprod.tolist() == pytest.approx([0.81, 0.2025, 0.0])
    assert zero_terminal_snr(alphas_cumprod).tolist() == pytest.approx(alphas_cumprod.tolist())


def test_the_weights_of_a_rescaled_schedule_are_those_of_its_own_signal_to_noise_ratios():
    alphas_cumprod = training_alphas_cumprod(torch.tensor([0.81, 0.25, 0.01]), "v_prediction", zero_terminal=True)
    snr = 0.2025 / 0.7975
    weights = timestep_weights(alphas_cumprod, "min-snr", 5.0, "v_prediction")
    assert weights.tolist() == pytest.approx([0.81 / 0.19 / (0.81 / 0.19 + 1), snr / (snr + 1), 0.0])
    assert timestep_weights(alphas_cumprod, "debiased", 5.0, "v_prediction")[-1] == 1.0


def test_zero_terminal_snr_on_an_epsilon_model_is_refused_with_the_reason():
    with pytest.raises(PrepError, match="ends in pure noise, but the base model predicts epsilon") as caught:
        training_alphas_cumprod(torch.tensor([0.81, 0.25, 0.01]), "epsilon", zero_terminal=True)
    assert "needs a base model of v-prediction" in caught.value.hint
    with pytest.raises(PrepError) as caught:
        training_alphas_cumprod(torch.tensor([0.81, 0.0]), "epsilon", zero_terminal=False)
    assert "scheduler_config.json" in caught.value.hint


def test_every_weight_of_every_timestep_is_finite_also_at_pure_noise():
    base = load_base("miniature", device="cpu")
    for prediction, zero in (("epsilon", False), ("v_prediction", False), ("v_prediction", True)):
        alphas_cumprod = training_alphas_cumprod(base.alphas_cumprod, prediction, zero)
        for weighting in ("min-snr", "debiased", "none"):
            assert timestep_weights(alphas_cumprod, weighting, 5.0, prediction).isfinite().all()
        for schedule in ("snr", "exponential", "constant"):
            widths = huber_widths(alphas_cumprod, schedule, 0.1)
            assert bool(((widths >= 0.0999) & (widths <= 1)).all())


def test_each_loss_of_an_element_by_hand():
    wanted, predicted, width = torch.full((1, 1, 1, 1), 3.0), torch.zeros(1, 1, 1, 1), torch.tensor([4.0])
    values = {
        loss: element_losses(predicted, wanted, loss, width).item() for loss in ("l2", "l1", "huber", "smooth_l1")
    }
    assert values == pytest.approx({"l2": 9.0, "l1": 3.0, "huber": 8.0, "smooth_l1": 2.0})  # sqrt(9 + 16) = 5


def test_a_huber_loss_is_square_for_small_and_straight_for_large_differences():
    wide, narrow = torch.tensor([100.0]), torch.tensor([1e-3])
    one, zero = torch.full((1, 1, 1, 1), 1.0), torch.zeros(1, 1, 1, 1)
    half_unit = 2.0**-24 / 5e-5  # of sqrt(1 + 1 / 100²) - 1 = 5e-5, once it was added to 1
    assert element_losses(zero, one, "huber", wide).item() == pytest.approx(1.0, rel=half_unit)
    assert element_losses(zero, one, "smooth_l1", narrow).item() == pytest.approx(2 * (1 + 1e-6) ** 0.5 - 2e-3)


def test_huber_widths_by_hand():
    alphas_cumprod = torch.tensor([1.0, 0.5, 0.0])  # sigma 0, 1, infinite
    assert huber_widths(alphas_cumprod, "snr", 0.1).tolist() == pytest.approx([1.0, 0.9 / 4 + 0.1, 0.1])
    assert huber_widths(alphas_cumprod[:2], "exponential", 0.01).tolist() == pytest.approx([1.0, 0.1])
    assert huber_widths(alphas_cumprod, "constant", 0.3).tolist() == pytest.approx([0.3] * 3)


def test_an_image_in_a_short_batch_counts_as_much_as_in_a_full_one():
    full = batch_loss(torch.tensor([4.0, 4.0]), 0, 1.0, divisor=2)
    short = batch_loss(torch.tensor([4.0]), 0, 1.0, divisor=2)
    assert full.item() == 4.0
    assert short.item() == 2.0


def test_reg_images_count_by_the_prior_loss_weight():
    losses = torch.tensor([1.0, 3.0, 10.0, 20.0])
    assert batch_loss(losses, 2, 0.5, divisor=2).item() == pytest.approx((1 + 3 + 5 + 10) / 2)


def test_each_reg_image_can_have_its_own_weight():
    losses, weights = torch.tensor([1.0, 3.0, 10.0, 20.0]), torch.tensor([0.5, 0.25])
    assert batch_loss(losses, 2, weights, divisor=2).item() == pytest.approx((1 + 3 + 5 + 5) / 2)


def test_the_first_pattern_that_fits_a_concept_decides_its_weight():
    prior = make_recipe(prior_loss_weight=0.5, prior_loss_weights={"artists/*": 0.0, "*": 2.0}).objective.prior
    assert (prior.of("x/artists/alder"), prior.of("Lumi")) == (0.0, 2.0)
    assert make_recipe(prior_loss_weight=0.5, prior_loss_weights={"Lumi": 1.0}).objective.prior.of("Alder") == 0.5


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"prior_loss_weights": {"a": -1.0}}, "prior_loss_weights: a = -1.0"),
        ({"prior_loss_weight": 0.0, "prior_loss_weights": {"a": 1.0}}, "prior_loss_weight is 0"),
    ],
)
def test_a_weight_that_is_none_or_does_nothing_is_refused(options, message):
    with pytest.raises(PrepError, match=message):
        make_recipe(**options)
