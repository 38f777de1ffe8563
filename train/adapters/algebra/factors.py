"""A difference as a product of two factors."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from train.adapters.algebra.lazy_torch import torch

if TYPE_CHECKING:
    from torch import Tensor


@dataclass(frozen=True, slots=True)
class Factors:
    """`up` (O, R) times `down` (R, I·K) is the whole difference, scale and all."""

    up: Tensor
    down: Tensor

    @property
    def rank(self) -> int:
        return self.up.shape[1]

    @property
    def smaller(self) -> bool:
        """Whether the two take less room than their product."""
        return self.up.numel() + self.down.numel() < self.up.shape[0] * self.down.shape[1]


def of_full_rank(matrix: Tensor) -> Factors:
    """Exact factors of any (O, N) matrix, of rank min(O, N)."""
    if matrix.shape[0] >= matrix.shape[1]:
        up, down = torch.linalg.qr(matrix.double())
        return Factors(up.float(), down.float())
    other = of_full_rank(matrix.T)
    return Factors(other.down.T, other.up.T)


def joined(parts: Sequence[tuple[float, Factors]]) -> Factors:
    """Factors of the weighted sum: ranks side by side, so that no factor is multiplied with another's."""
    ups = torch.cat([factors.up * weight for weight, factors in parts], 1)
    return Factors(ups, torch.cat([factors.down for _, factors in parts]))


def balanced(factors: Factors) -> Factors:
    """The same product with both factors of every rank equally long, so that half precision loses least of either."""
    one, other = factors.up.norm(dim=0), factors.down.norm(dim=1)
    ratio = torch.where((one > 0) & (other > 0), (other / one.clamp(min=1e-30)).sqrt(), torch.ones_like(one))
    return Factors(factors.up * ratio, factors.down / ratio[:, None])
