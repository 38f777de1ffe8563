"""Images from requests: prompts read, latents denoised by a sampler, as many at once as there is memory for, and decoded."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import groupby

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from pipeline.core.errors import PrepError
from train.device import forget_unused, halving, out_of_memory
from train.models.base import BaseModel
from train.models.diffusers_parts import AutoencoderKL
from train.models.sampling.ddim import sample_latents
from train.models.sampling.guidance import guided_prediction
from train.models.sampling.noise_schedule import training_alphas_cumprod
from train.models.sampling.samplers import DDIM, sampler_of
from train.models.sampling.schedulers import sample_scheduled
from train.models.sampling.seeded_noise import seeded_noise
from train.models.text.conditioning import Conditioning, joined, with_sizes
from train.models.text.prompts import Request as Request
from train.models.text.text_encoding import prompt_conditioning, text_conditioning

Texts = list[list[tuple[int, Conditioning]]]
"""Requests by their index, each with what is read of its prompts: in each list those of one length."""
AT_A_TIME = 16
"""Images between two changes of what is on the device, where parts leave it."""
DECODED = 2**20
"""Pixels that the VAE decodes at once, or one image: its activations are the largest of all."""


@dataclass(frozen=True, slots=True)
class Sampling:
    """`steps`, `guidance` and `sampler` of requests that have none of their own; how prompts are read; whether the noise
    schedule is rescaled to zero terminal SNR, as for the model's training; and how far guidance is rescaled, 0 to 1."""

    steps: int = 25
    guidance: float = 7.0
    clip_skip: int = 1
    max_tokens: int = 75
    zero_terminal: bool = False
    sampler: str = DDIM
    rescale: float = 0.0


@torch.no_grad()
def decode(base: BaseModel, latents: Tensor) -> list[Image.Image]:
    """Scaled latents (B, 4, h, w) → RGB images, in float32 whatever precision was sampled in; in tiles where there is no memory
    for a whole one.

    Raises:
        PrepError: they are not finite.
    """
    if not torch.isfinite(latents).all():
        raise PrepError(
            "generating gave latents that are not finite",
            "use bf16 or no mixed_precision; if the adapter is new, train it with a lower learning rate",
        )
    images: list[Image.Image] = []
    with base.using("vae"), torch.autocast(latents.device.type, enabled=False):
        for part in latents.split(_together(base, latents)):
            pixels = _decoded(base.vae, part / base.vae.config.scaling_factor)
            array = ((pixels.clamp(-1, 1) + 1) * 127.5).round().byte().permute(0, 2, 3, 1).cpu().numpy()
            images += [Image.fromarray(np.ascontiguousarray(image)) for image in array]
    return images


def _decoded(vae: AutoencoderKL, latents: Tensor) -> Tensor:
    """(B, 3, H, W) pixels; in overlapping tiles, whose seams are blended, where whole ones do not fit into memory."""
    try:
        whole: Tensor = vae.decode(latents).sample
        return whole
    except Exception as error:
        if not out_of_memory(error):
            raise
    forget_unused(latents.device)
    vae.enable_tiling()
    try:
        tiled: Tensor = vae.decode(latents).sample
        return tiled
    finally:
        vae.disable_tiling()


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
            sampler=sampling.sampler if request.sampler is None else request.sampler,
        )
        for request in requests
    ]
    alphas_cumprod = training_alphas_cumprod(base.alphas_cumprod, base.prediction, sampling.zero_terminal)
    made: dict[int, Image.Image] = {}
    for group in _groups(list(_batches(whole, batch_size)), 1 if base.residency is None else AT_A_TIME):
        with base.arithmetic():
            texts = [_texts(base, whole, chosen, sampling) for chosen in group]
            latents = _denoised(base, whole, texts, alphas_cumprod, sampling.rescale)
        for index, image in _images(base, latents):
            made[index] = image
            if on_image:
                on_image(index, image)
    return [made[index] for index in range(len(requests))]


def _groups(batches: list[list[int]], least: int) -> Iterator[list[list[int]]]:
    """Batches of together at least so many requests: where parts leave the device, each is brought there once for them."""
    group: list[list[int]] = []
    for batch in batches:
        group.append(batch)
        if sum(map(len, group)) >= least:
            yield group
            group = []
    if group:
        yield group


@torch.no_grad()
def _denoised(
    base: BaseModel, requests: Sequence[Request], texts: Sequence[Texts], alphas_cumprod: Tensor, rescale: float
) -> list[tuple[int, Tensor]]:
    """(index, latent (4, h, w)) of every request that was read, as many at once as there is memory for."""
    found: list[tuple[int, Tensor]] = []
    with base.using("unet"):
        for alike in (alike for each in texts for alike in each):
            for part, latents in halving(
                alike,
                lambda part: _sampled(base, requests, part, alphas_cumprod, rescale),
                base.device,
                "generating images",
            ):
                found += zip((index for index, _ in part), latents, strict=True)
    return found


def _images(base: BaseModel, latents: Sequence[tuple[int, Tensor]]) -> Iterator[tuple[int, Image.Image]]:
    """(index, image), those of one size together."""
    with base.using("vae"):
        for _, same in groupby(latents, key=lambda each: each[1].shape):
            alike = list(same)
            together = _together(base, alike[0][1])
            for start in range(0, len(alike), together):
                part = alike[start : start + together]
                images = decode(base, torch.stack([each for _, each in part]))
                yield from zip((index for index, _ in part), images, strict=True)


def _together(base: BaseModel, latents: Tensor) -> int:
    """How many latents (…, h, w) are decoded at once."""
    return max(1, DECODED // (latents.shape[-1] * latents.shape[-2] * base.latent_factor**2))


def _batches(requests: Sequence[Request], batch_size: int) -> Iterator[list[int]]:
    """Indices of requests of one size, sampler, number of steps and guidance."""
    alike: dict[tuple[object, ...], list[int]] = {}
    for index, request in enumerate(requests):
        alike.setdefault((request.size, request.sampler, request.steps, request.guidance), []).append(index)
    for indices in alike.values():
        yield from (indices[start : start + batch_size] for start in range(0, len(indices), batch_size))


@torch.no_grad()
def _texts(base: BaseModel, requests: Sequence[Request], chosen: Sequence[int], sampling: Sampling) -> Texts:
    """A batch's requests with what is read of their prompts, those whose texts are equally long together.

    Every request's texts are read by themselves: padded to the length of others, they would mean something else.
    """
    lengths: dict[int, list[tuple[int, Conditioning]]] = {}
    with base.using("text"):
        for index in chosen:
            request = requests[index]
            texts = [request.prompt, request.negative] if _guided(request) else [request.prompt]
            if request.weighted:
                read = prompt_conditioning(base, texts, sampling.clip_skip)
            else:
                read = text_conditioning(base, texts, sampling.clip_skip, sampling.max_tokens)
            lengths.setdefault(read.states.shape[1], []).append((index, sized(read, request.size)))
    return list(lengths.values())


def _guided(request: Request) -> bool:
    return request.guidance is not None and request.guidance > 1


def _sampled(
    base: BaseModel,
    requests: Sequence[Request],
    alike: Sequence[tuple[int, Conditioning]],
    alphas_cumprod: Tensor,
    rescale: float,
) -> Tensor:
    """(B, 4, h, w) latents of requests of one size, sampler, number of steps, guidance and length."""
    first = requests[alike[0][0]]
    assert first.steps is not None and first.guidance is not None and first.sampler is not None
    width, height = first.size
    shape = (base.unet.config.in_channels, height // base.latent_factor, width // base.latent_factor)
    noise = torch.stack([seeded_noise(shape, requests[index].seed) for index, _ in alike]).to(base.device)
    toward = joined([read[:1] for _, read in alike])
    away = joined([read[1:] for _, read in alike]) if _guided(first) else None
    sampler = sampler_of(first.sampler)
    if sampler.name == DDIM:
        return sample_latents(base, noise, toward, away, first.steps, first.guidance, alphas_cumprod, rescale)
    guided = guided_prediction(base, toward, away, first.guidance, rescale)
    seeds = [requests[index].seed for index, _ in alike]
    return sample_scheduled(sampler, noise, guided, first.steps, alphas_cumprod, base.prediction, seeds)


def sized(conditioning: Conditioning, size: tuple[int, int]) -> Conditioning:
    """With the sizes that SDXL is conditioned on for a whole image of (width, height), if it takes any and has none yet
    (Podell et al. 2023, arXiv:2307.01952, section 2.2): original and target are the image's own, nothing is cropped."""
    if conditioning.pooled is None or conditioning.sizes is not None:
        return conditioning
    width, height = size
    return with_sizes(conditioning, [(height, width, 0, 0, height, width)] * len(conditioning.states))
