"""The noise that latents are mixed with, drawn for one image at a time, so that no other image of a batch matters."""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor
from torch.nn.functional import interpolate

from pipeline.core.seeded import rng
from train.models.sampling.seeded_noise import normal
from train.optimization.options import NoiseOptions


def drawn_noise(clean: Tensor, options: NoiseOptions, *key: int | str) -> tuple[Tensor, Tensor]:
    """The noise to be predicted and the noise that is mixed in, which differ by the input perturbation alone.

    Args:
        clean: (C, h, w) latent of the image.
        key: what the draws are keyed by; equal for an image and its regularization image.
    Returns:
        two (C, h, w), float32.
    """
    shape = tuple(clean.shape)
    noise = normal(shape, *key, "noise")
    if options.multires_iterations:
        ratios = rng(*key, "multires").uniform(2, 4, options.multires_iterations)
        sizes = coarse_sizes(shape[1], shape[2], [float(ratio) for ratio in ratios])
        coarse = [normal((shape[0], *size), *key, "multires", index) for index, size in enumerate(sizes)]
        noise = multires_noise(noise, coarse, options.multires_discount)
    if options.noise_offset:
        most = options.noise_offset * (rng(*key, "offset strength").random() if options.noise_offset_random else 1.0)
        strength = offset_strength(clean, most, options.adaptive_noise_scale)
        noise = noise + strength * normal((shape[0], 1, 1), *key, "offset")
    if not options.ip_noise_gamma:
        return noise, noise
    return noise, noise + options.ip_noise_gamma * normal(shape, *key, "perturbation")


def offset_strength(clean: Tensor, offset: float, adaptive: float) -> Tensor:
    """How far each channel's noise is moved as a whole, so that very dark and very bright images can be learned
    (Guttenberg 2023, "Diffusion with Offset Noise", crosslabs.org).

    Args:
        clean: (C, h, w).
        adaptive: what is added for each unit of the channel's mean, without its sign.
    Returns:
        (C, 1, 1) offset + adaptive * |mean|, at least 0.
    """
    return (offset + adaptive * clean.mean((1, 2), keepdim=True).abs()).clamp(min=0.0)


def coarse_sizes(height: int, width: int, ratios: Sequence[float]) -> list[tuple[int, int]]:
    """(height, width) of each coarser noise: the i-th, from 0, is ratios[i] ** i times smaller; the first that has a
    side of 1 is the last."""
    sizes: list[tuple[int, int]] = []
    for index, ratio in enumerate(ratios):
        sizes.append((max(1, int(height / ratio**index)), max(1, int(width / ratio**index))))
        if 1 in sizes[-1]:
            break
    return sizes


def multires_noise(noise: Tensor, coarse: Sequence[Tensor], discount: float) -> Tensor:
    """Add ever coarser noise and bring the sum back to a standard deviation of 1 (Whitaker 2023, "Multi-Resolution Noise
    for Diffusion Model Training", wandb.ai).

    Args:
        noise: (C, h, w).
        coarse: the i-th is (C, h_i, w_i), enlarged bilinearly and weighted with discount ** i.
    Returns:
        (C, h, w).
    """
    for index, small in enumerate(coarse):
        enlarged = interpolate(small[None], size=noise.shape[1:], mode="bilinear", align_corners=False)[0]
        noise = noise + enlarged * discount**index
    return noise / noise.std()
