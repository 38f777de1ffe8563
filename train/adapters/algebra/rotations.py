"""Orthogonal matrices by Cayley's transform R = (I + Q)(I - Q)⁻¹ of a skew-symmetric Q, in blocks (Qiu et al. 2023,
arXiv:2306.07280)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from train.adapters.algebra.lazy_torch import torch
from train.adapters.algebra.products import in_full

if TYPE_CHECKING:
    from torch import Tensor


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
        turn: Tensor = 2 * torch.linalg.solve(torch.eye(q.shape[-1], device=q.device, dtype=q.dtype) - q, q)
        return turn


def rotations(blocks: Tensor, limit: float) -> Tensor:
    """R for each block, of the same arguments."""
    skew = blocks - blocks.transpose(-1, -2)
    if limit > 0:
        norm = float(skew.norm()) + 1e-8
        skew = skew * min(1.0, limit / norm)
    identity = torch.eye(skew.shape[-1], dtype=skew.dtype, device=skew.device)
    turn: Tensor = torch.linalg.solve(identity - skew, identity + skew, left=False)
    return turn


def rescaled(turned: Tensor, factors: Tensor | None) -> Tensor:
    """The rows of a weight each with a factor of its own, if there are any."""
    return turned if factors is None else turned * factors.reshape(-1, *[1] * (turned.dim() - 1))
