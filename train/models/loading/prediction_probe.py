"""What a UNet predicts, measured: shown nothing but noise, one that predicts epsilon gives it back whole."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from train.models.sampling.seeded_noise import normal

TIMES = (500, 999)
TOLERANCE = {"epsilon": 0.2, "v_prediction": 0.4}
"""Most that a measured share may lie off the expected one. A velocity's may lie further off, as it holds the image that
the UNet believes to see in the noise; what lies near 0 at both timesteps is neither."""
SIDE = 32
Predict = Callable[[Tensor, Tensor], Tensor]
"""Noisy latents (B, C, h, w) and timesteps (B,) → what the UNet says."""


@torch.no_grad()
def noise_shares(predict: Predict, alphas_cumprod: Tensor, channels: int, device: torch.device) -> list[float]:
    """How much of the noise the UNet gives back at each of `TIMES`, for empty latents under noise: <said, eps> / <eps, eps>.

    With x0 = 0, epsilon asks for 1, the velocity sqrt(alpha_bar) * eps - sqrt(1 - alpha_bar) * x0 for sqrt(alpha_bar):
    0.53 at timestep 500 and 0.07 at 999 of SD's schedule.

    Args:
        alphas_cumprod: (T,) alpha-bar.
    """
    shares = []
    for time in TIMES:
        noise = normal((1, channels, SIDE, SIDE), "prediction probe", time).to(device)
        said = predict(
            (1 - alphas_cumprod[time]).sqrt().to(device) * noise, torch.tensor([time], device=device)
        ).float()
        said = said - said.mean((2, 3), keepdim=True)  # what it believes the image's colour to be
        shares.append(float((said * noise).sum() / noise.square().sum()))
    return shares


def inferred_prediction(shares: list[float], alphas_cumprod: Tensor) -> str | None:
    """epsilon or v_prediction, whichever all shares lie near; None where they lie near neither."""
    expected = {
        "epsilon": [1.0 for _ in TIMES],
        "v_prediction": [float(alphas_cumprod[time].sqrt()) for time in TIMES],
    }
    near = [
        name
        for name, values in expected.items()
        if all(abs(share - value) <= TOLERANCE[name] for share, value in zip(shares, values, strict=True))
    ]
    return near[0] if len(near) == 1 else None
