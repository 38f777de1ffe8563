"""The alpha that a layer's file holds, and what is meant where it holds none: alpha = rank, so a scale of 1."""

from __future__ import annotations

from typing import TYPE_CHECKING

from train.adapters.algebra.lazy_torch import torch

if TYPE_CHECKING:
    from torch import Tensor


def alpha_scale(alpha: Tensor | None, rank: int) -> float:
    """alpha / rank, by which the product of a layer's factors acts."""
    return 1.0 if alpha is None else float(alpha) / rank


def alpha_constant(alpha: Tensor | None, rank: int) -> dict[str, Tensor]:
    """The constant that is kept beside a layer's weights."""
    return {"alpha": torch.tensor(float(rank)) if alpha is None else alpha}
