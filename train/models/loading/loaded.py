"""A base model's parts as they come from a folder or a single file, before they are put on a device."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import nn
from transformers import CLIPTokenizer

from train.models.diffusers_parts import AutoencoderKL, DDIMScheduler, UNet2DConditionModel
from train.models.families.family import Family


@dataclass(frozen=True, slots=True, eq=False)
class Loaded:
    """`prediction` is None where the files do not say it; `vae` is None where they hold none."""

    family: Family
    tokenizers: tuple[CLIPTokenizer, ...]
    text_encoders: tuple[nn.Module, ...]
    vae: AutoencoderKL | None
    unet: UNet2DConditionModel
    scheduler: DDIMScheduler
    prediction: str | None

    @property
    def alphas_cumprod(self) -> torch.Tensor:
        """(T,) alpha-bar of every timestep, 0 at the last one of a model of zero-terminal SNR."""
        alphas_cumprod: torch.Tensor = self.scheduler.alphas_cumprod
        return alphas_cumprod
