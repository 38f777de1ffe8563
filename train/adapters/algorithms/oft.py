"""Diagonal OFT (Qiu et al. 2023, arXiv:2306.07280; LyCORIS): W' = blockdiag(R)ᵀ·W, each R orthogonal by Cayley's transform
R = (I + Q)(I - Q)⁻¹ of a skew-symmetric Q."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor, nn

from train.adapters.inject.base_layer import BaseLayer, in_full
from train.adapters.inject.dropout import Dropout


def turning(blocks: Tensor, limit: Tensor) -> Tensor:
    """R - I for each block, which is 2(I - Q)⁻¹Q, so that a small turn is not lost beside I.

    Args:
        blocks: (…, n, n), of which Q is the skew-symmetric part, doubled.
        limit: the largest norm of all Q together; 0 for none.
    """
    with in_full(blocks):
        q = blocks - blocks.mT
        held = torch.where(limit > 0, (limit / (q.norm() + 1e-8)).clamp(max=1.0), torch.ones_like(limit))
        q = q * held
        turned: Tensor = 2 * torch.linalg.solve(torch.eye(q.shape[-1], device=q.device, dtype=q.dtype) - q, q)
        return turned


class Oft(nn.Module):
    """oft_blocks (blocks, n, n); `alpha` is the limit on Q for each output, `rescale` (out, 1, …) a factor for each."""

    alpha: Tensor

    def __init__(self, tensors: Mapping[str, Tensor]) -> None:
        super().__init__()
        self.oft_blocks = nn.Parameter(tensors["oft_blocks"])
        self.rescale = nn.Parameter(tensors["rescale"]) if "rescale" in tensors else None
        self.register_buffer("alpha", tensors.get("alpha", torch.tensor(0.0)).float())

    def output(self, site: BaseLayer, x: Tensor, strength: float, drops: Dropout) -> Tensor:
        """On what the layer gives, without its bias."""
        y = site.plain(x)
        base = site.unbiased(x, y)
        turns = strength * turning(self.oft_blocks, self.alpha * site.weight.shape[0])
        change = turned(base, turns, site.convolution)
        if self.rescale is not None:
            change = change * site.channels(self.rescale, y)
            change = change + base * site.channels(strength * (self.rescale - 1), y)
        return y + drops.neurons(change)

    def delta(self, site: BaseLayer) -> tuple[Tensor, Tensor | None]:
        whole = site.whole()
        turns = turning(self.oft_blocks, self.alpha * whole.shape[0])
        change = turned(whole.flatten(1).mT, turns, False).mT.reshape(whole.shape)
        return change if self.rescale is None else self.rescale * (whole + change) - whole, None


def turned(values: Tensor, turns: Tensor, convolution: bool) -> Tensor:
    """blockdiag(turns)ᵀ on the channels of (…, out) or (B, out, H, W)."""
    turns = turns.to(values.dtype)
    blocks, size = turns.shape[:2]
    if convolution:
        turned: Tensor = (turns.mT @ values.flatten(2).unflatten(1, (blocks, size))).reshape(values.shape)
        return turned
    split = values.reshape(-1, blocks, size).transpose(0, 1)
    return (split @ turns).transpose(0, 1).reshape(values.shape)
