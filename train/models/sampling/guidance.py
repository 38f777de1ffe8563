"""Classifier-free guidance: what the model predicts toward one text and away from another."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from train.models.base import BaseModel
from train.models.text.conditioning import Conditioning, joined

Guided = Callable[[Tensor, Tensor | int], Tensor]
"""(latents (B, 4, h, w), the timestep) → the prediction that a sampler takes its step with."""


def guided_prediction(
    base: BaseModel, toward: Conditioning, away: Conditioning | None, guidance: float, rescale: float = 0.0
) -> Guided:
    """What the model predicts for (B, 4, h, w) latents at a timestep, guided (Ho & Salimans 2022, arXiv:2207.12598, eq. 6)."""
    asked = toward if away is None else joined([away, toward])

    def predicted(latents: Tensor, time: Tensor | int) -> Tensor:
        if away is None:
            return base.predict(latents, time, asked).to(latents.dtype)
        unwanted, wanted = base.predict(torch.cat([latents, latents]), time, asked).to(latents.dtype).chunk(2)
        both = unwanted + guidance * (wanted - unwanted)
        return rescaled(both, wanted, rescale) if rescale else both

    return predicted


def rescaled(guided: Tensor, wanted: Tensor, share: float) -> Tensor:
    """(B, 4, h, w) guided predictions brought back to the standard deviation of what the prompt alone asks for, image by image,
    as far as `share` says (Lin et al. 2023, arXiv:2305.08891, eq. 15 and 16)."""
    back = guided * (wanted.std((1, 2, 3), keepdim=True) / guided.std((1, 2, 3), keepdim=True))
    return share * back + (1 - share) * guided
