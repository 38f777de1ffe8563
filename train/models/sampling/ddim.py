"""Deterministic DDIM sampling (Song et al. 2020, arXiv:2010.02502, eq. 12 with sigma = 0), the same to the bit each time."""

from __future__ import annotations

import torch
from torch import Tensor

from train.models.base import BaseModel
from train.models.sampling.guidance import guided_prediction
from train.models.sampling.noise_schedule import ends_in_noise
from train.models.text.conditioning import Conditioning


def ddim_timesteps(steps: int, trained: int = 1000, trailing: bool = False) -> list[int]:
    """Evenly spaced timesteps, latest first.

    SD's `leading` spacing with offset 1 ends at 1 (25 steps: 961, 921 … 1). A model whose schedule ends in pure noise
    must start there: `trailing` spacing (25 steps: 999, 959 … 39; Lin et al. 2023, arXiv:2305.08891, table 2).
    """
    if trailing:
        return [round(trained * (steps - index) / steps) - 1 for index in range(steps)]
    return [min(index * (trained // steps) + 1, trained - 1) for index in reversed(range(steps))]


def ddim_step(
    noisy: Tensor, predicted: Tensor, alpha_prod: Tensor, next_alpha_prod: Tensor, prediction: str = "epsilon"
) -> Tensor:
    """One step from `alpha_prod` to `next_alpha_prod` (both alpha-bar, scalars).

    x' = sqrt(next_a) * x0 + sqrt(1 - next_a) * eps, with x0 = (x - sqrt(1 - a) * eps) / sqrt(a); a v-prediction is
    turned into eps and x0 first (Salimans & Ho 2022, arXiv:2202.00512).
    """
    if prediction == "v_prediction":
        clean = alpha_prod.sqrt() * noisy - (1 - alpha_prod).sqrt() * predicted
        noise = alpha_prod.sqrt() * predicted + (1 - alpha_prod).sqrt() * noisy
    else:
        noise = predicted
        clean = (noisy - (1 - alpha_prod).sqrt() * noise) / alpha_prod.sqrt()
    return next_alpha_prod.sqrt() * clean + (1 - next_alpha_prod).sqrt() * noise


@torch.no_grad()
def sample_latents(
    base: BaseModel,
    noise: Tensor,
    toward: Conditioning,
    away: Conditioning | None,
    steps: int,
    guidance: float,
    alphas_cumprod: Tensor | None = None,
    rescale: float = 0.0,
) -> Tensor:
    """Denoise (B, 4, h, w) noise with DDIM, guided toward one conditioning and, if there is one, away from another.

    Args:
        alphas_cumprod: (T,) alpha-bar of every timestep, the base model's own if not given.
        rescale: how far the guided prediction is brought back to the spread of the unguided one, 0 to 1.
    """
    alphas_cumprod = (base.alphas_cumprod if alphas_cumprod is None else alphas_cumprod).to(noise.device)
    times = ddim_timesteps(steps, len(alphas_cumprod), trailing=ends_in_noise(alphas_cumprod))
    latents, guided = noise, guided_prediction(base, toward, away, guidance, rescale)
    for index, time in enumerate(times):
        following = alphas_cumprod[times[index + 1]] if index + 1 < len(times) else alphas_cumprod[0]
        latents = ddim_step(latents, guided(latents, time), alphas_cumprod[time], following, base.prediction)
    return latents
