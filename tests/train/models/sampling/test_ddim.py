import pytest
import torch
from diffusers import DDIMScheduler
from tolerance import near

from train.models.sampling.ddim import ddim_step, ddim_timesteps

SCHEDULE = {
    "beta_start": 0.00085,
    "beta_end": 0.012,
    "beta_schedule": "scaled_linear",
    "clip_sample": False,
    "set_alpha_to_one": False,
    "steps_offset": 1,
}


def test_twenty_five_steps_go_from_961_down_to_1():
    assert ddim_timesteps(25)[:2] == [961, 921]
    assert ddim_timesteps(25)[-1] == 1
    assert len(ddim_timesteps(25)) == 25


def test_a_step_by_hand():
    noisy, predicted = torch.tensor([1.0]), torch.tensor([0.5])
    clean = (1.0 - 0.8 * 0.5) / 0.6
    assert ddim_step(noisy, predicted, torch.tensor(0.36), torch.tensor(0.64)).item() == pytest.approx(
        0.8 * clean + 0.6 * 0.5
    )


@pytest.mark.parametrize("prediction", ["epsilon", "v_prediction"])
def test_a_whole_run_is_the_one_diffusers_makes(prediction):
    reference = DDIMScheduler(**SCHEDULE, prediction_type=prediction)
    reference.set_timesteps(25)
    alphas_cumprod = reference.alphas_cumprod
    ours = theirs = torch.randn(1, 4, 8, 8, generator=torch.Generator().manual_seed(0))
    times = ddim_timesteps(25)
    assert times == reference.timesteps.tolist()
    for index, time in enumerate(times):
        following = alphas_cumprod[times[index + 1]] if index + 1 < len(times) else alphas_cumprod[0]
        ours = ddim_step(ours, torch.tanh(ours) * 0.9, alphas_cumprod[time], following, prediction)
        theirs = reference.step(torch.tanh(theirs) * 0.9, time, theirs).prev_sample
    assert near(ours, theirs, products=25 * 6), "6 operations a step"


def test_a_schedule_that_ends_in_pure_noise_is_begun_there():
    assert ddim_timesteps(25, trailing=True)[:2] == [999, 959]
    assert ddim_timesteps(25, trailing=True)[-1] == 39
    assert ddim_timesteps(3, trailing=True) == [999, 666, 332]


def test_no_timestep_lies_beyond_the_schedule_however_many_are_asked_for():
    for steps in (1, 7, 999, 1000):
        for trailing in (False, True):
            times = ddim_timesteps(steps, trailing=trailing)
            assert len(times) == steps and min(times) >= 0 and max(times) <= 999
