"""The singular values of a difference, and its best factors of a lower rank."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from train.adapters.algebra.factors import Factors


@dataclass(frozen=True, slots=True)
class Cut:
    """How much of a spectrum is kept: `rank` values at most, or as few as hold `energy` of the squared sum, or both."""

    rank: int | None = None
    energy: float | None = None

    def kept(self, values: Tensor) -> int:
        """How many of the descending singular values; at least 1."""
        squares = values.double().square()
        total = float(squares.sum())
        count = int((squares > 0).sum()) if total else 1
        if self.energy is not None and total:
            held = squares.cumsum(0) / total
            count = min(count, int((held < self.energy - 1e-12).sum()) + 1)
        return max(
            1, count if self.rank is None else min(count, self.rank) if self.energy else min(self.rank, len(values))
        )


@dataclass(frozen=True, slots=True)
class Spectrum:
    """A difference as (O, N) = `left` diag(`values`) `right`, values descending, float64."""

    left: Tensor
    values: Tensor
    right: Tensor

    def cut(self, cut: Cut) -> tuple[Factors, float]:
        """The best factors of that rank (Eckart and Young 1936), and the squared norm of what they leave out."""
        kept = cut.kept(self.values)
        root = self.values[:kept].sqrt()
        factors = Factors((self.left[:, :kept] * root).float(), (root[:, None] * self.right[:kept]).float())
        return factors, float(self.values[kept:].square().sum())


def spectrum_of_factors(factors: Factors) -> Spectrum:
    """By QR of both factors and an SVD of the small (R, R) middle; the product is never built."""
    left, one = torch.linalg.qr(factors.up.double())
    right, other = torch.linalg.qr(factors.down.double().T)
    inner_left, values, inner_right = torch.linalg.svd(one @ other.T, full_matrices=False)
    return Spectrum(left @ inner_left, values, inner_right @ right.T)


def spectrum_of(matrix: Tensor) -> Spectrum:
    """Of a whole (O, N) matrix, by the eigenvectors of the smaller Gram matrix in float64."""
    if matrix.shape[0] > matrix.shape[1]:
        turned = spectrum_of(matrix.T)
        return Spectrum(turned.right.T, turned.values, turned.left.T)
    wide = matrix.double()
    squares, vectors = torch.linalg.eigh(wide @ wide.T)
    left = vectors.flip(1)
    values = squares.flip(0).clamp(min=0).sqrt()
    along = left.T @ wide
    return Spectrum(left, values, along / values.clamp(min=1e-30)[:, None])
