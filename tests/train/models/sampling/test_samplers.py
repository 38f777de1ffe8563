"""Samplers by name, their noise levels beside k-diffusion's, and what they make with a model that knows the answer."""

import math

import numpy as np
import pytest
import torch

from pipeline.core.errors import PrepError
from train.models.sampling.guidance import rescaled
from train.models.sampling.noise_schedule import zero_terminal_snr
from train.models.sampling.samplers import SAMPLERS, sampler_of
from train.models.sampling.schedulers import betas_of, sample_scheduled, scheduler_of

ALPHAS = torch.cumprod(1 - torch.linspace(0.00085**0.5, 0.012**0.5, 1000, dtype=torch.float64) ** 2, 0).float()
"""Stable Diffusion's noise schedule, scaled_linear from 0.00085 to 0.012."""
OTHERS = [sampler for sampler in SAMPLERS if sampler.name != "ddim"]


@pytest.mark.parametrize(
    ("written", "name"),
    [("DPM++ 2M Karras", "dpmpp_2m_karras"), ("dpm++ 2m karras", "dpmpp_2m_karras"), ("DPM++ 2M", "dpmpp_2m"),
     ("dpmsolver++", "dpmpp_2m"), ("Euler a", "euler_a"), ("k_euler_a", "euler_a"), ("DDIM", "ddim"),
     ("DPM++ 2M SDE Karras", "dpmpp_2m_sde_karras"), ("UniPC", "unipc"), ("PLMS", "pndm"), (" euler-karras ", "euler_karras")],
)  # fmt: skip
def test_a_sampler_goes_by_the_names_of_web_uis_and_of_kohya(written, name):
    assert sampler_of(written).name == name


def test_an_unknown_sampler_is_told_with_those_that_are():
    with pytest.raises(PrepError, match=r"there is no sampler 'dpm_fast' here.*known: ddim, euler, "):
        sampler_of("dpm_fast")


def test_betas_by_hand():
    assert betas_of(torch.tensor([0.9, 0.45, 0.0])) == pytest.approx([0.1, 0.5, 1.0])


def test_karras_spacing_is_that_of_k_diffusion():
    """sigma_i = (max^(1/7) + i/(n-1) (min^(1/7) - max^(1/7)))^7, from 14.6146 to 0.0292 with SD's schedule."""
    low, high = 0.0291675, 14.614642
    wanted = [(high ** (1 / 7) + index / 19 * (low ** (1 / 7) - high ** (1 / 7))) ** 7 for index in range(20)]
    for name in ("euler_karras", "dpmpp_2m_karras", "dpmpp_2m_sde_karras"):
        scheduler = scheduler_of(sampler_of(name), ALPHAS, "epsilon")
        scheduler.set_timesteps(20)
        assert np.allclose(scheduler.sigmas[:-1].numpy(), wanted, rtol=1e-4), name
        assert float(scheduler.sigmas[-1]) == 0


def test_euler_begins_and_ends_where_k_diffusion_does():
    scheduler = scheduler_of(sampler_of("euler"), ALPHAS, "epsilon")
    scheduler.set_timesteps(20)
    assert float(scheduler.sigmas[0]) == pytest.approx(14.6146, rel=1e-4)
    assert float(scheduler.sigmas[-2]) == pytest.approx(0.0292, rel=2e-3)


@pytest.mark.parametrize("prediction", ["epsilon", "v_prediction"])
@pytest.mark.parametrize("sampler", OTHERS, ids=lambda each: each.name)
def test_with_a_model_that_knows_the_image_every_sampler_arrives_at_it(sampler, prediction):
    clean = torch.randn((2, 4, 8, 8), generator=torch.Generator().manual_seed(1))

    def knows(latents, time):
        alpha = ALPHAS[int(torch.as_tensor(time).round())].double()
        noise = (latents.double() - alpha.sqrt() * clean) / (1 - alpha).sqrt()
        return (noise if prediction == "epsilon" else alpha.sqrt() * noise - (1 - alpha).sqrt() * clean).float()

    noise = torch.randn((2, 4, 8, 8), generator=torch.Generator().manual_seed(2))
    made = sample_scheduled(sampler, noise, knows, 20, ALPHAS, prediction, [5, 6])
    off = float((made - clean).square().mean().sqrt())
    ends_before_zero = sampler.name == "pndm"
    assert off < (0.05 if ends_before_zero else 1e-5), (
        "PLMS ends at timestep 1, where noise of standard deviation .04 is left"
    )


@pytest.mark.parametrize("sampler", [each for each in OTHERS if each.random], ids=lambda each: each.name)
def test_what_is_drawn_at_a_step_is_of_the_images_own_seed(sampler):
    noise = torch.randn((3, 4, 8, 8), generator=torch.Generator().manual_seed(2))

    def made(rows, seeds):
        return sample_scheduled(sampler, noise[rows], lambda x, _: 0.1 * x, 6, ALPHAS, "epsilon", seeds)

    together, alone = made([0, 1, 2], [5, 6, 7]), made([1], [6])
    assert torch.allclose(together[1], alone[0], rtol=1e-5, atol=1e-5)
    assert not torch.allclose(made([1], [8]), alone, rtol=1e-2, atol=1e-2)


@pytest.mark.parametrize("sampler", OTHERS, ids=lambda each: each.name)
def test_a_model_of_zero_terminal_snr_begins_in_noise_or_is_refused(sampler):
    alphas = zero_terminal_snr(ALPHAS)
    noise = torch.randn((1, 4, 8, 8), generator=torch.Generator().manual_seed(2))
    if not sampler.to_noise:
        with pytest.raises(PrepError, match="cannot begin in pure noise"):
            scheduler_of(sampler, alphas, "v_prediction")
        return
    made = sample_scheduled(sampler, noise, lambda x, _: torch.zeros_like(x), 8, alphas, "v_prediction", [1])
    assert torch.isfinite(made).all()


def test_guidance_rescale_by_hand():
    """Spread 4 brought back to 2 halves the prediction; at .7 it is .7 · half + .3 · whole = .65 of it."""
    wanted = torch.tensor([1.0, -1.0, 1.0, -1.0]).reshape(1, 1, 2, 2)
    assert torch.allclose(rescaled(2 * wanted, wanted, 1.0), wanted)
    assert torch.allclose(rescaled(2 * wanted, wanted, 0.7), 0.65 * 2 * wanted)
    assert math.isclose(float(rescaled(2 * wanted, wanted, 0.7).std() / wanted.std()), 1.3, rel_tol=1e-6)
