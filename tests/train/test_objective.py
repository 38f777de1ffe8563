import pytest
import torch

from train.objective import batch_loss, debiased_weight, min_snr_weight, noised, sample_losses, target, timestep_weights


def test_min_snr_weight_by_hand():
    snr = torch.tensor([10.0, 5.0, 1.0])
    assert min_snr_weight(snr, 5.0).tolist() == pytest.approx([0.5, 1.0, 1.0])
    assert min_snr_weight(snr, 5.0, "v_prediction").tolist() == pytest.approx([5 / 11, 5 / 6, 0.5])


def test_noising_keeps_the_share_the_level_says():
    clean, noise = torch.full((1, 1, 1, 1), 2.0), torch.full((1, 1, 1, 1), 1.0)
    assert noised(clean, noise, torch.tensor([0.36])).item() == pytest.approx(0.6 * 2 + 0.8 * 1)


def test_the_velocity_target_by_hand_and_the_epsilon_target_is_the_noise():
    clean, noise, level = torch.full((1, 1, 1, 1), 2.0), torch.full((1, 1, 1, 1), 1.0), torch.tensor([0.36])
    assert target(clean, noise, level, "v_prediction").item() == pytest.approx(0.6 * 1 - 0.8 * 2)
    assert target(clean, noise, level, "epsilon") is noise


def test_debiased_weight_by_hand():
    snr = torch.tensor([0.01, 1.0, 4.0, 1e6])
    assert debiased_weight(snr).tolist() == pytest.approx([10.0, 1.0, 0.5, 1 / 1000**0.5])
    assert debiased_weight(torch.tensor([3.0]), "v_prediction").tolist() == pytest.approx([0.25])


def test_the_recipe_chooses_the_weights():
    level = torch.tensor([10 / 11, 0.5])
    assert timestep_weights(level, "none", 5.0, "epsilon").tolist() == [1.0, 1.0]
    assert timestep_weights(level, "min-snr", 5.0, "epsilon").tolist() == pytest.approx([0.5, 1.0], rel=1e-5)
    assert timestep_weights(level, "debiased", 5.0, "epsilon").tolist() == pytest.approx([0.1**0.5, 1.0], rel=1e-5)


def test_losses_are_means_of_each_sample_times_its_weight():
    predicted, wanted = torch.zeros(2, 1, 1, 2), torch.tensor([[[[1.0, 3.0]]], [[[2.0, 2.0]]]])
    assert sample_losses(predicted, wanted, torch.tensor([1.0, 1.0])).tolist() == pytest.approx([5.0, 4.0])
    assert sample_losses(predicted, wanted, torch.tensor([0.5, 1.0])).tolist() == pytest.approx([2.5, 4.0])


def test_a_picture_in_a_short_batch_counts_as_much_as_in_a_full_one():
    full = batch_loss(torch.tensor([4.0, 4.0]), 0, 1.0, batch_size=2)
    short = batch_loss(torch.tensor([4.0]), 0, 1.0, batch_size=2)
    assert full.item() == 4.0
    assert short.item() == 2.0


def test_twins_count_by_the_prior_loss_weight():
    losses = torch.tensor([1.0, 3.0, 10.0, 20.0])
    assert batch_loss(losses, 2, 0.5, batch_size=2).item() == pytest.approx((1 + 3 + 5 + 10) / 2)
