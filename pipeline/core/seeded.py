"""Random numbers as a pure function of where they are used, so that resuming or another batch split changes nothing.

Torch is loaded only for tensors, so that a run can be planned without it.
"""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from torch import Tensor


def key_seed(*key: int | str) -> int:
    """A 63-bit seed from any key, equal on every machine."""
    digest = hashlib.blake2b("\0".join(str(part) for part in key).encode(), digest_size=8).digest()
    return int.from_bytes(digest, "big") >> 1


def rng(*key: int | str) -> np.random.Generator:
    return np.random.Generator(np.random.Philox(key_seed(*key)))


def normal(shape: tuple[int, ...], *key: int | str) -> Tensor:
    """Standard normal float32 tensor of `shape`, drawn on the CPU whatever the device, for one key."""
    import torch

    return torch.randn(shape, generator=torch.Generator().manual_seed(key_seed(*key)))


def seeded_noise(shape: tuple[int, ...], seed: int) -> Tensor:
    """The starting noise that the seed stands for in A1111's CPU mode and in diffusers: `torch.randn` of that seed."""
    import torch

    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))
