"""Deterministic DDIM sampling with classifier-free guidance (Song et al. 2020, arXiv:2010.02502, eq. 12 with sigma = 0)."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from train.base import BaseModel
from train.conditioning import Conditioning, joined
from train.draws import seeded_noise
from train.text import text_conditioning


@dataclass(frozen=True, slots=True)
class Request:
    """One picture to make; `size` is (width, height) in pixels."""

    prompt: str
    seed: int
    size: tuple[int, int]
    negative: str = ""


def ddim_timesteps(steps: int, trained: int = 1000) -> list[int]:
    """Evenly spaced timesteps, latest first, ending at 1: SD's `leading` spacing with offset 1 (25 steps: 961, 921 … 1)."""
    return [index * (trained // steps) + 1 for index in reversed(range(steps))]


def ddim_step(
    noisy: Tensor, predicted: Tensor, level: Tensor, next_level: Tensor, prediction: str = "epsilon"
) -> Tensor:
    """One step from noise level `level` to `next_level` (both alpha-bar, scalars).

    x' = sqrt(next) * x0 + sqrt(1 - next) * eps, with x0 = (x - sqrt(1 - level) * eps) / sqrt(level); a v-prediction is
    turned into eps and x0 first (Salimans & Ho 2022, arXiv:2202.00512).
    """
    if prediction == "v_prediction":
        clean = level.sqrt() * noisy - (1 - level).sqrt() * predicted
        noise = level.sqrt() * predicted + (1 - level).sqrt() * noisy
    else:
        noise = predicted
        clean = (noisy - (1 - level).sqrt() * noise) / level.sqrt()
    return next_level.sqrt() * clean + (1 - next_level).sqrt() * noise


@torch.no_grad()
def sample_latents(
    base: BaseModel, noise: Tensor, toward: Conditioning, away: Conditioning, steps: int, guidance: float
) -> Tensor:
    """Denoise (B, 4, h, w) noise, guided toward one conditioning and away from another."""
    levels, times = base.alphas_cumprod.to(noise.device), ddim_timesteps(steps)
    latents, both = noise, joined([away, toward])
    for index, time in enumerate(times):
        following = levels[times[index + 1]] if index + 1 < len(times) else levels[0]
        unwanted, wanted = base.predict(torch.cat([latents, latents]), time, both).chunk(2)
        predicted = unwanted + guidance * (wanted - unwanted)
        latents = ddim_step(latents, predicted, levels[time], following, base.prediction)
    return latents


@torch.no_grad()
def decode(base: BaseModel, latents: Tensor) -> list[Image.Image]:
    """Scaled latents (B, 4, h, w) → RGB pictures."""
    pixels = base.vae.decode(latents / base.vae.config.scaling_factor).sample
    array = ((pixels.clamp(-1, 1) + 1) * 127.5).round().byte().permute(0, 2, 3, 1).cpu().numpy()
    return [Image.fromarray(np.ascontiguousarray(picture)) for picture in array]


def generate(
    base: BaseModel,
    requests: Sequence[Request],
    steps: int = 25,
    guidance: float = 7.0,
    batch_size: int = 8,
    clip_skip: int = 1,
    on_picture: Callable[[int, Image.Image], None] | None = None,
    max_tokens: int = 75,
) -> list[Image.Image]:
    """Make every requested picture, those of one size together; `on_picture(index, picture)` is told as they come."""
    made: dict[int, Image.Image] = {}
    by_size: dict[tuple[int, int], list[int]] = {}
    for index, request in enumerate(requests):
        by_size.setdefault(request.size, []).append(index)
    for (width, height), indices in by_size.items():
        shape = (base.unet.config.in_channels, height // base.latent_factor, width // base.latent_factor)
        for start in range(0, len(indices), batch_size):
            chosen = indices[start : start + batch_size]
            noise = torch.stack([seeded_noise(shape, requests[index].seed) for index in chosen]).to(base.device)
            with torch.no_grad():
                texts = [requests[index].prompt for index in chosen] + [requests[index].negative for index in chosen]
                toward, away = text_conditioning(base, texts, clip_skip, max_tokens).halves()  # together: equally long
            pictures = decode(base, sample_latents(base, noise, toward, away, steps, guidance))
            for index, picture in zip(chosen, pictures, strict=True):
                made[index] = picture
                if on_picture:
                    on_picture(index, picture)
    return [made[index] for index in range(len(requests))]
