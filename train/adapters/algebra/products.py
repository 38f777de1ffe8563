"""Products of small factors, in the precision that the factors have."""

from __future__ import annotations

from contextlib import AbstractContextManager
from typing import TYPE_CHECKING

from train.adapters.algebra.lazy_torch import torch

if TYPE_CHECKING:
    from torch import Tensor


def in_full(tensor: Tensor) -> AbstractContextManager[object]:
    """Autocast off: what is done inside keeps its precision."""
    return torch.autocast(tensor.device.type, enabled=False)


def core(middle: Tensor, up: Tensor, down: Tensor) -> Tensor:
    """A Tucker decomposition rebuilt: (a, b, k, k), (out, a), (b, in) → (out, in, k, k)."""
    with in_full(middle):
        return torch.einsum("abkl,oa,bi->oikl", middle, up, down)


def with_core(middle: Tensor, down: Tensor) -> Tensor:
    """The second factor with the core in it: (a, b, k, k), (b, in) → (a, in·k·k)."""
    return torch.einsum("mn...,ni->mi...", middle, down).flatten(1)


def column_sums(values: Tensor) -> Tensor:
    """(out, in, …) → (in,)."""
    return values.sum([axis for axis in range(values.dim()) if axis != 1])
