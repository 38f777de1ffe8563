"""Exact low-rank factors of adapter layers, and the best ones of lower rank."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from pipeline.core.errors import PrepError
from train.adapters.files.delta import factor_pairs, halves
from train.adapters.files.layer import Layer


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


def exact_factors(layer: Layer, weight: Tensor | None = None) -> Factors | None:
    """Factors of the very same difference, None where the algorithm has none.

    A LoHa of rank R gives rank R² (row-wise Khatri-Rao products), a LoKr the rank of its halves' product, a GLoRA on a
    linear layer or 1×1 convolution rank 2R, for which the base's weight is needed; DoRA and rotations give none.
    """
    if layer.dora is not None:
        return None
    if layer.algorithm == "lora":
        ((up, down),) = factor_pairs(layer)
        return Factors(up * layer.scale, down)
    if layer.algorithm == "loha":
        (one, two), (three, four) = factor_pairs(layer)
        up = torch.einsum("or,os->ors", one, three).flatten(1)
        return Factors(up * layer.scale, torch.einsum("ri,si->rsi", two, four).flatten(0, 1))
    if layer.algorithm == "lokr":
        return _kronecker_factors(layer)
    if layer.algorithm == "glora" and weight is not None and weight[0, 0].numel() == 1:
        matrix = weight.float().flatten(1)
        up = torch.cat([matrix @ layer.tensors["a1.weight"].flatten(1), layer.tensors["b1.weight"].flatten(1)], 1)
        down = torch.cat([layer.tensors["a2.weight"].flatten(1), layer.tensors["b2.weight"].flatten(1)])
        return Factors(up * layer.scale, down)
    return None


def _kronecker_factors(layer: Layer) -> Factors | None:
    """(A B) ⊗ (C D) = (A ⊗ C)(B ⊗ D), a half that has no factors taken times the identity on its narrower side."""
    first, second = halves(layer)
    pairs = []
    for half, product in ((1, first), (2, second.flatten(1))):
        one, other = layer.get(f"lokr_w{half}_a"), layer.get(f"lokr_w{half}_b")
        rows, columns = product.shape
        if one is not None and other is not None and not (half == 2 and "lokr_t2" in layer.tensors):
            pair = (one, other.flatten(1))
            narrow = one.shape[1] < min(rows, columns)
        else:
            pair, narrow = (product, product), False
        if not narrow:
            pair = (torch.eye(rows), product) if rows <= columns else (product, torch.eye(columns))
        pairs.append(pair)
    (a, b), (c, d) = pairs
    found = Factors(
        torch.kron(a.contiguous(), c.contiguous()) * layer.scale, torch.kron(b.contiguous(), d.contiguous())
    )
    return found if found.smaller else None


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


def balanced(factors: Factors) -> Factors:
    """The same product with both factors of every rank equally long, so that half precision loses least of either."""
    one, other = factors.up.norm(dim=0), factors.down.norm(dim=1)
    ratio = torch.where((one > 0) & (other > 0), (other / one.clamp(min=1e-30)).sqrt(), torch.ones_like(one))
    return Factors(factors.up * ratio, factors.down / ratio[:, None])


def lora_layer(name: str, factors: Factors, kernel: tuple[int, ...], scale: float = 1.0) -> Layer:
    """A LoRA layer with that very effect; `scale` is what alpha / rank shall be.

    Raises:
        PrepError: the difference's width is no multiple of the kernel's size.
    """
    inside = 1
    for side in kernel:
        inside *= side
    if factors.down.shape[1] % inside:
        raise PrepError(
            f"{name}: {factors.down.shape[1]} columns are no whole number of {'×'.join(map(str, kernel))} kernels",
            "give the model the adapter was trained on with --base",
        )
    up, down = factors.up, factors.down / scale
    even = balanced(Factors(up, down))
    return Layer(
        name,
        "lora",
        {
            "lora_up.weight": even.up.reshape(*even.up.shape, *[1] * len(kernel)),
            "lora_down.weight": even.down.reshape(even.rank, -1, *kernel),
            "alpha": torch.tensor(scale * even.rank),
        },
    )
