"""What the UNet is told beside the noisy latents: text states, and with SDXL a pooled text vector and sizes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True, slots=True, eq=False)
class Conditioning:
    """Of B samples: `states` (B, L, C); with SDXL also `pooled` (B, P), the pooled states of its second text encoder, and
    `sizes` (B, 6), original height and width, crop's top and left, target height and width, all in pixels."""

    states: Tensor
    pooled: Tensor | None = None
    sizes: Tensor | None = None

    def __getitem__(self, rows: slice | Tensor | Sequence[int]) -> Conditioning:
        """Of some of the samples."""
        return Conditioning(*(None if part is None else part[rows] for part in (self.states, self.pooled, self.sizes)))

    def halves(self) -> tuple[Conditioning, Conditioning]:
        """Of the first half of the samples and of the second."""
        half = len(self.states) // 2
        return self[:half], self[half:]


def joined(parts: Sequence[Conditioning]) -> Conditioning:
    """The samples of several, one after the other; all must have the same parts."""
    together = [
        None if any(column is None for column in columns) else torch.cat([each for each in columns if each is not None])
        for columns in zip(*((part.states, part.pooled, part.sizes) for part in parts), strict=True)
    ]
    assert together[0] is not None
    return Conditioning(together[0], together[1], together[2])
