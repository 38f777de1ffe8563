"""The conditioning of the UNet beside the noisy latents: text states, and with SDXL a pooled text vector and sizes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from pipeline.store.values.bucket import Bucket
from train.device import on_device

Sizes = tuple[int, int, int, int, int, int]
"""Original height and width, top and left of the crop, target height and width, in pixels."""


@dataclass(frozen=True, slots=True, eq=False)
class Conditioning:
    """Of B samples: `states` (B, L, C); with SDXL also `pooled` (B, P), the pooled states of its second text encoder, and
    `sizes` (B, 6), original height and width, crop's top and left, target height and width, all in pixels."""

    states: Tensor
    pooled: Tensor | None = None
    sizes: Tensor | None = None

    def __getitem__(self, rows: slice | Tensor | Sequence[int]) -> Conditioning:
        """Of some of the samples."""
        pooled, sizes = (None if part is None else part[rows] for part in (self.pooled, self.sizes))
        return Conditioning(self.states[rows], pooled, sizes)

    def copied(self, device: torch.device) -> Conditioning:
        """In memory of its own, on a device."""
        states, pooled, sizes = (
            part if part is None else part.to(device, copy=True) for part in (self.states, self.pooled, self.sizes)
        )
        assert states is not None
        return Conditioning(states, pooled, sizes)

    def to(self, device: torch.device) -> Conditioning:
        states, pooled, sizes = (
            part if part is None else part.to(device, non_blocking=True)
            for part in (self.states, self.pooled, self.sizes)
        )
        assert states is not None
        return Conditioning(states, pooled, sizes)


def joined(parts: Sequence[Conditioning]) -> Conditioning:
    """The samples of several, one after the other; all must have the same parts."""
    together = [
        None if any(column is None for column in columns) else torch.cat([each for each in columns if each is not None])
        for columns in zip(*((part.states, part.pooled, part.sizes) for part in parts), strict=True)
    ]
    assert together[0] is not None
    return Conditioning(together[0], together[1], together[2])


def size_ids(bucket: Bucket, original: tuple[int, int], mirrored: bool = False) -> Sizes:
    """SDXL's conditioning on an image's sizes: as it was, where its crop begins once it is scaled, and what it became
    (Podell et al. 2023, arXiv:2307.01952, section 2.2).

    Args:
        bucket: the bucket decision; `size` and `scaled` are (width, height), `crop` is left, top, right, bottom in the
            scaled image.
        original: (width, height) of the image, turned upright, before it is scaled.
        mirrored: the image is shown mirrored, so that what was cut off at its right is cut off at its left.
    """
    left, top, right, _ = bucket.crop
    if mirrored:
        left = bucket.scaled[0] - right
    width, height = bucket.size
    return original[1], original[0], top, left, height, width


def whole_image(size: tuple[int, int]) -> Sizes:
    """The sizes of an image of (width, height) pixels that is asked for: neither scaled nor cropped."""
    width, height = size
    return height, width, 0, 0, height, width


def with_sizes(conditioning: Conditioning, sizes: Sequence[Sizes]) -> Conditioning:
    """The same with each sample's sizes, or as it was for a family without them. A GPU is not waited for."""
    if conditioning.pooled is None:
        return conditioning
    assert len(sizes) == len(conditioning.states)
    values = torch.tensor(sizes, dtype=torch.float32).reshape(-1, 6)
    return replace(conditioning, sizes=on_device(values, conditioning.states.device))
