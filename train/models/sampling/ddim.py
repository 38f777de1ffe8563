"""Deterministic DDIM sampling with classifier-free guidance (Song et al. 2020, arXiv:2010.02502, eq. 12 with sigma = 0)."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from pipeline.core.errors import PrepError
from train.models.base import BaseModel
from train.models.sampling.noise_schedule import training_alphas_cumprod
from train.models.sampling.seeded_noise import seeded_noise
from train.models.text.conditioning import Conditioning, joined
from train.models.text.prompts import Request as Request
from train.models.text.text_encoding import prompt_conditioning, text_conditioning

DECODED = 2**20
"""Pixels that the VAE decodes at once, or one image: its activations are the largest of all."""


@dataclass(frozen=True, slots=True)
class Sampling:
    """`steps` and `guidance` of requests that have none of their own; how prompts are read; and whether the noise schedule is
    rescaled to zero terminal SNR, as for the model's training."""

    steps: int = 25
    guidance: float = 7.0
    clip_skip: int = 1
    max_tokens: int = 75
    zero_terminal: bool = False


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
) -> Tensor:
    """Denoise (B, 4, h, w) noise, guided toward one conditioning and, if there is one, away from another.

    Args:
        alphas_cumprod: (T,) alpha-bar of every timestep, the base model's own if not given.
    """
    alphas_cumprod = (base.alphas_cumprod if alphas_cumprod is None else alphas_cumprod).to(noise.device)
    times = ddim_timesteps(steps, len(alphas_cumprod), trailing=bool(alphas_cumprod[-1] == 0))
    latents, asked = noise, toward if away is None else joined([away, toward])
    for index, time in enumerate(times):
        following = alphas_cumprod[times[index + 1]] if index + 1 < len(times) else alphas_cumprod[0]
        if away is None:
            predicted = base.predict(latents, time, asked).to(latents.dtype)
        else:
            unwanted, wanted = base.predict(torch.cat([latents, latents]), time, asked).to(latents.dtype).chunk(2)
            predicted = unwanted + guidance * (wanted - unwanted)
        latents = ddim_step(latents, predicted, alphas_cumprod[time], following, base.prediction)
    return latents


@torch.no_grad()
def decode(base: BaseModel, latents: Tensor) -> list[Image.Image]:
    """Scaled latents (B, 4, h, w) → RGB images, in float32 whatever precision was sampled in.

    Raises:
        PrepError: they are not finite.
    """
    if not torch.isfinite(latents).all():
        raise PrepError(
            "generating gave latents that are not finite",
            "use bf16 or no mixed_precision; if the adapter is new, train it with a lower learning rate",
        )
    images = []
    together = max(1, DECODED // (latents.shape[-1] * latents.shape[-2] * base.latent_factor**2))
    with torch.autocast(latents.device.type, enabled=False):
        for part in latents.split(together):
            pixels = base.vae.decode(part / base.vae.config.scaling_factor).sample
            array = ((pixels.clamp(-1, 1) + 1) * 127.5).round().byte().permute(0, 2, 3, 1).cpu().numpy()
            images += [Image.fromarray(np.ascontiguousarray(image)) for image in array]
    return images


def generate(
    base: BaseModel,
    requests: Sequence[Request],
    sampling: Sampling = Sampling(),
    batch_size: int = 8,
    on_image: Callable[[int, Image.Image], None] | None = None,
) -> list[Image.Image]:
    """Make every requested image; `on_image(index, image)` is called as they come.

    An image does not depend on which others are made with it. Guidance of at most 1 is none, as in diffusers and
    sd-scripts: the negative prompt is not read then, and a step takes half the time.
    """
    whole = [
        replace(
            request,
            steps=sampling.steps if request.steps is None else request.steps,
            guidance=sampling.guidance if request.guidance is None else request.guidance,
        )
        for request in requests
    ]
    alphas_cumprod = training_alphas_cumprod(base.alphas_cumprod, base.prediction, sampling.zero_terminal)
    made: dict[int, Image.Image] = {}
    for chosen in _batches(whole, batch_size):
        for indices, latents in _generated(
            base, whole, chosen, alphas_cumprod, sampling.clip_skip, sampling.max_tokens
        ):
            for index, image in zip(indices, decode(base, latents), strict=True):
                made[index] = image
                if on_image:
                    on_image(index, image)
    return [made[index] for index in range(len(requests))]


def _batches(requests: Sequence[Request], batch_size: int) -> Iterator[list[int]]:
    """Indices of requests of one size, number of steps and guidance."""
    alike: dict[tuple[object, ...], list[int]] = {}
    for index, request in enumerate(requests):
        alike.setdefault((request.size, request.steps, request.guidance), []).append(index)
    for indices in alike.values():
        yield from (indices[start : start + batch_size] for start in range(0, len(indices), batch_size))


@torch.no_grad()
def _generated(
    base: BaseModel,
    requests: Sequence[Request],
    chosen: Sequence[int],
    alphas_cumprod: Tensor,
    clip_skip: int,
    max_tokens: int,
) -> Iterator[tuple[list[int], Tensor]]:
    """(indices, latents) of a batch's requests, those whose texts are equally long together.

    Every request's texts are read by themselves: padded to the length of others, they would mean something else.
    """
    first = requests[chosen[0]]
    assert first.steps is not None and first.guidance is not None
    guided, (width, height) = first.guidance > 1, first.size
    lengths: dict[int, list[tuple[int, Conditioning]]] = {}
    for index in chosen:
        request = requests[index]
        texts = [request.prompt, request.negative] if guided else [request.prompt]
        if request.weighted:
            read = sized(prompt_conditioning(base, texts, clip_skip), request.size)
        else:
            read = sized(text_conditioning(base, texts, clip_skip, max_tokens), request.size)
        lengths.setdefault(read.states.shape[1], []).append((index, read))
    shape = (base.unet.config.in_channels, height // base.latent_factor, width // base.latent_factor)
    for rows in lengths.values():
        indices = [index for index, _ in rows]
        noise = torch.stack([seeded_noise(shape, requests[index].seed) for index in indices]).to(base.device)
        toward = joined([read[:1] for _, read in rows])
        away = joined([read[1:] for _, read in rows]) if guided else None
        yield indices, sample_latents(base, noise, toward, away, first.steps, first.guidance, alphas_cumprod)


def sized(conditioning: Conditioning, size: tuple[int, int]) -> Conditioning:
    """With the sizes that SDXL is conditioned on for a whole image of (width, height), if it takes any and has none yet
    (Podell et al. 2023, arXiv:2307.01952, section 2.2): original and target are the image's own, nothing is cropped."""
    if conditioning.pooled is None or conditioning.sizes is not None:
        return conditioning
    width, height = size
    row = torch.tensor([height, width, 0, 0, height, width], device=conditioning.states.device, dtype=torch.float32)
    return replace(conditioning, sizes=row.expand(len(conditioning.states), -1))
