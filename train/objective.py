"""The loss of one batch, in small functions."""

from __future__ import annotations

import torch
from torch import Tensor


def noised(clean: Tensor, noise: Tensor, level: Tensor) -> Tensor:
    """Mix clean latents with noise: sqrt(level) * clean + sqrt(1 - level) * noise (Ho et al. 2020, arXiv:2006.11239, eq. 4).

    Args:
        clean, noise: (B, 4, h, w).
        level: (B,) alpha-bar of each sample's timestep.
    """
    level = level[:, None, None, None]
    return level.sqrt() * clean + (1 - level).sqrt() * noise


def target(clean: Tensor, noise: Tensor, level: Tensor, prediction: str) -> Tensor:
    """What the UNet should say: the noise, or the velocity sqrt(level) * noise - sqrt(1 - level) * clean
    (Salimans & Ho 2022, arXiv:2202.00512). Shapes as in `noised`."""
    if prediction == "epsilon":
        return noise
    level = level[:, None, None, None]
    return level.sqrt() * noise - (1 - level).sqrt() * clean


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
    """Weigh losses so that noisy timesteps, where a picture is composed, count most (Yu et al. 2023, arXiv:2310.08442).

    Args:
        snr: (B,) alpha_bar / (1 - alpha_bar), above 0.
    Returns:
        (B,) 1 / sqrt(min(snr, 1000)) for epsilon, 1 / (snr + 1) for a v-prediction, as kohya's trainer has it.
    """
    snr = snr.clamp(max=1000)
    return snr.rsqrt() if prediction == "epsilon" else 1 / (snr + 1)


def sample_losses(predicted: Tensor, wanted: Tensor, weights: Tensor) -> Tensor:
    """(B,) mean squared error of each sample times its weight."""
    return (predicted.float() - wanted.float()).pow(2).mean((1, 2, 3)) * weights


def timestep_weights(level: Tensor, weighting: str, gamma: float, prediction: str) -> Tensor:
    """(B,) weights of samples at alpha-bar `level`, by the recipe's `weighting`."""
    snr = level / (1 - level)
    if weighting == "min-snr":
        return min_snr_weight(snr, gamma, prediction)
    return debiased_weight(snr, prediction) if weighting == "debiased" else torch.ones_like(snr)


def batch_loss(losses: Tensor, twins: int, prior_loss_weight: float, batch_size: int) -> Tensor:
    """One number from the losses of a batch whose last `twins` samples are regularization twins.

    (sum of the pictures' losses + prior_loss_weight * sum of the twins') / batch_size. The divisor is the nominal
    batch size, so that a picture in a short batch counts as much as any other.
    """
    weights = torch.ones_like(losses)
    if twins:
        weights[-twins:] = prior_loss_weight
    return (losses * weights).sum() / batch_size
