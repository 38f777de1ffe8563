"""Normal noise as a pure function of where it is used, drawn on the CPU so that it is the same on every device."""

from __future__ import annotations

import torch
from torch import Tensor

from pipeline.core.seeded import key_seed


def normal(shape: tuple[int, ...], *key: int | str) -> Tensor:
    """Standard normal float32 tensor of `shape`, drawn on the CPU whatever the device, for one key."""
    return seeded_noise(shape, key_seed(*key))


def seeded_noise(shape: tuple[int, ...], seed: int) -> Tensor:
    """The starting noise that the seed stands for in A1111's CPU mode and in diffusers: `torch.randn` of that seed."""
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))
