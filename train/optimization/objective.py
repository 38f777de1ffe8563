"""The loss of one batch, in small functions."""

from __future__ import annotations

import torch
from torch import Tensor


def target(clean: Tensor, noise: Tensor, alpha_prod: Tensor, prediction: str) -> Tensor:
    """What the UNet should say: the noise, or the velocity sqrt(a) * noise - sqrt(1 - a) * clean
    (Salimans & Ho 2022, arXiv:2202.00512). Shapes as in `noised`."""
    if prediction == "epsilon":
        return noise
    alpha_prod = alpha_prod[:, None, None, None]
    return alpha_prod.sqrt() * noise - (1 - alpha_prod).sqrt() * clean


def min_snr_weight(snr: Tensor, gamma: float, prediction: str = "epsilon") -> Tensor:
    """Weigh losses so that nearly clean timesteps do not dominate (Hang et al. 2023, arXiv:2303.09556).

    Args:
        snr: (B,) alpha_bar / (1 - alpha_bar), above 0.
        gamma: the cap on snr; 5 in the paper.
    Returns:
        (B,) min(snr, gamma) / snr for epsilon, min(snr, gamma) / (snr + 1) for a v-prediction.
    """
    capped = snr.clamp(max=gamma)
    return capped / snr if prediction == "epsilon" else capped / (snr + 1)


def debiased_weight(snr: Tensor, prediction: str = "epsilon") -> Tensor:
    """Weigh losses so that noisy timesteps, where an image is composed, count most (Yu et al. 2023, arXiv:2310.08442).

    Args:
        snr: (B,) alpha_bar / (1 - alpha_bar), above 0.
    Returns:
        (B,) 1 / sqrt(min(snr, 1000)) for epsilon, 1 / (snr + 1) for a v-prediction, as kohya's trainer has it.
    """
    snr = snr.clamp(max=1000)
    return snr.rsqrt() if prediction == "epsilon" else 1 / (snr + 1)


def huber_widths(alphas_cumprod: Tensor, schedule: str, width: float) -> Tensor:
    """Where the pseudo-Huber loss turns from square to straight, for every timestep (Khrapov et al. 2024,
    arXiv:2403.16728).

    Args:
        alphas_cumprod: (T,) alpha-bar.
        schedule: `snr`: (1 - width) / (1 + sigma)^2 + width with sigma = sqrt((1 - a) / a); `exponential`:
            width ** (t / T); `constant`: width. The first two fall from about 1, at clean timesteps, towards `width`.
    Returns:
        (T,).
    """
    if schedule == "snr":
        sigma = ((1 - alphas_cumprod) / alphas_cumprod).sqrt()
        return (1 - width) / (1 + sigma).square() + width
    if schedule == "exponential":
        return width ** (torch.arange(len(alphas_cumprod), device=alphas_cumprod.device) / len(alphas_cumprod))
    return torch.full_like(alphas_cumprod, width)


def element_losses(predicted: Tensor, wanted: Tensor, loss: str, widths: Tensor) -> Tensor:
    """The loss of every element, d being the difference and c the sample's width: d^2 (l2), |d| (l1),
    2c (sqrt(d^2 + c^2) - c) (huber), 2 (sqrt(d^2 + c^2) - c) (smooth_l1), as kohya-ss/sd-scripts names them.

    Args:
        predicted: (B, C, h, w).
        wanted: (B, C, h, w).
        widths: (B,).
    """
    difference = predicted.float() - wanted.float()
    if loss == "l2":
        return difference.square()
    if loss == "l1":
        return difference.abs()
    width = widths[:, None, None, None]
    rounded = 2 * ((difference.square() + width.square()).sqrt() - width)
    return rounded * width if loss == "huber" else rounded


def timestep_weights(alpha_prod: Tensor, weighting: str, gamma: float, prediction: str) -> Tensor:
    """(T,) weights of the timesteps with `alpha_prod` (alpha-bar), by the recipe's `weighting`."""
    snr = alpha_prod / (1 - alpha_prod)
    if weighting == "min-snr":
        return min_snr_weight(snr, gamma, prediction)
    return debiased_weight(snr, prediction) if weighting == "debiased" else torch.ones_like(snr)


def batch_loss(losses: Tensor, reg_images: int, prior_loss_weight: float | Tensor, divisor: int) -> Tensor:
    """One number from the losses of a batch whose last `regularization images` samples are regularization images.

    (sum of the images' losses + sum of prior_loss_weight * the regularization images') / divisor: the nominal
    batch size, by which an image in a short batch counts as much as any other, or how many samples there are.

    Args:
        prior_loss_weight: one for all regularization images, or (R,) one for each.
    """
    weights = torch.ones_like(losses)
    if reg_images:
        weights[-reg_images:] = prior_loss_weight
    return (losses * weights).sum() / divisor
