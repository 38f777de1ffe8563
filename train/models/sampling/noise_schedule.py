"""The noise schedule: alphas_cumprod, zero terminal SNR, and noised latents."""

from __future__ import annotations

from torch import Tensor

from pipeline.core.errors import PrepError


def ends_in_noise(alphas_cumprod: Tensor) -> bool:
    """Whether (T,) alpha-bar is 0 at the last timestep: zero-terminal SNR."""
    return float(alphas_cumprod[-1]) == 0


def training_alphas_cumprod(alphas_cumprod: Tensor, prediction: str, zero_terminal: bool) -> Tensor:
    """(T,) alpha-bar of every timestep, of which the signal-to-noise ratios, the noising and the target are all taken.

    Raises:
        PrepError: the schedule ends in pure noise, and the model predicts the noise, from which it could learn nothing
            there.
    """
    alphas_cumprod = zero_terminal_snr(alphas_cumprod) if zero_terminal else alphas_cumprod
    if prediction == "epsilon" and ends_in_noise(alphas_cumprod):
        raise PrepError(
            "train: the noise schedule ends in pure noise, but the base model predicts epsilon, which is then its input",
            "zero_terminal_snr needs a base model of v-prediction; leave it out for this one"
            if zero_terminal
            else "mend prediction_type or rescale_betas_zero_snr in the base model's scheduler_config.json",
        )
    return alphas_cumprod


def zero_terminal_snr(alphas_cumprod: Tensor) -> Tensor:
    """Rescale a noise schedule so that its last timestep is pure noise (Lin et al. 2023, arXiv:2305.08891, algorithm 1).

    Args:
        alphas_cumprod: (T,) alpha-bar, falling.
    Returns:
        (T,) whose first is unchanged and whose last is 0; one that ends in 0 comes back as it was.
    """
    root = alphas_cumprod.sqrt()
    return ((root - root[-1]) * (root[0] / (root[0] - root[-1]))).square()


def noised(clean: Tensor, noise: Tensor, alpha_prod: Tensor) -> Tensor:
    """Mix clean latents with noise: sqrt(a) * clean + sqrt(1 - a) * noise (Ho et al. 2020, arXiv:2006.11239, eq. 4).

    Args:
        clean: (B, 4, h, w).
        noise: (B, 4, h, w).
        alpha_prod: (B,) alpha-bar of each sample's timestep.
    """
    alpha_prod = alpha_prod[:, None, None, None]
    return alpha_prod.sqrt() * clean + (1 - alpha_prod).sqrt() * noise
