"""Sampling with one of diffusers' schedulers, on the base model's own noise schedule."""

from __future__ import annotations

import inspect
from collections.abc import Sequence
from typing import Any

import diffusers
import torch
from torch import Tensor

from pipeline.core.errors import PrepError
from train.models.sampling.guidance import Guided
from train.models.sampling.noise_schedule import ends_in_noise
from train.models.sampling.samplers import DDIM, SAMPLERS, Sampler


def scheduler_of(sampler: Sampler, alphas_cumprod: Tensor, prediction: str) -> Any:
    """diffusers' scheduler for a noise schedule, (T,) alpha-bar.

    Raises:
        PrepError: the schedule ends in pure noise, where this sampler cannot begin.
    """
    zero = ends_in_noise(alphas_cumprod)
    if zero and not sampler.to_noise:
        able = [each.name for each in SAMPLERS if each.to_noise]
        raise PrepError(
            f"{sampler.label} cannot begin in pure noise, as a model with zero-terminal SNR asks for",
            f"take one of {', '.join(able)}",
        )
    kind = getattr(diffusers, sampler.scheduler)
    options = dict(sampler.options) | {"prediction_type": prediction}
    taken = inspect.signature(kind.__init__).parameters
    if zero and "rescale_betas_zero_snr" in taken:
        options["rescale_betas_zero_snr"] = True
    if "clip_sample" in taken:
        options["clip_sample"] = False
    if "set_alpha_to_one" in taken:
        options["set_alpha_to_one"] = False
    if "steps_offset" in taken and "timestep_spacing" not in options:
        options["steps_offset"] = 1
    return kind(num_train_timesteps=len(alphas_cumprod), trained_betas=betas_of(alphas_cumprod), **options)


def betas_of(alphas_cumprod: Tensor) -> list[float]:
    """beta of every timestep, 1 - alpha-bar_t / alpha-bar_(t-1) (Ho et al. 2020, arXiv:2006.11239, section 2)."""
    whole = alphas_cumprod.double().cpu()
    before = torch.cat([torch.ones(1, dtype=torch.float64), whole[:-1]])
    betas: list[float] = (1 - whole / before).tolist()
    return betas


@torch.no_grad()
def sample_scheduled(
    sampler: Sampler,
    noise: Tensor,
    guided: Guided,
    steps: int,
    alphas_cumprod: Tensor,
    prediction: str,
    seeds: Sequence[int],
) -> Tensor:
    """Denoise (B, 4, h, w) noise of standard deviation 1 in so many steps.

    Args:
        seeds: of each image; what a sampler adds at its steps is drawn from them, image by image, so that an image does not
            depend on those that are made with it.
    """
    assert sampler.name != DDIM
    scheduler = scheduler_of(sampler, alphas_cumprod, prediction)
    scheduler.set_timesteps(steps, device=noise.device)
    more: dict[str, Any] = {}
    if "generator" in inspect.signature(scheduler.step).parameters:
        more["generator"] = [torch.Generator().manual_seed((seed + 1) % 2**63) for seed in seeds]
    latents: Tensor = noise * scheduler.init_noise_sigma
    for time in scheduler.timesteps:
        predicted = guided(scheduler.scale_model_input(latents, time), time)
        latents = scheduler.step(predicted, time, latents, **more).prev_sample.to(noise.dtype)
    return latents
