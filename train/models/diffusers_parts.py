"""The classes of diffusers that models are made of, imported once what could break that import was looked at."""

from __future__ import annotations

from train.models.optional_libraries import set_unusable_aside

set_unusable_aside()  # before diffusers, which loads them where they are installed, and fails as they do

from diffusers import AutoencoderKL, DDIMScheduler, UNet2DConditionModel  # noqa: E402

__all__ = ["AutoencoderKL", "DDIMScheduler", "UNet2DConditionModel"]
