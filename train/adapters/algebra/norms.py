"""Norms of products without the product, and weights of an adapter held to a largest norm."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Protocol

from train.adapters.algebra.lazy_torch import torch

if TYPE_CHECKING:
    from torch import Tensor


class Scalable(Protocol):
    """Something whose norm can be scaled down."""

    def norm(self) -> Tensor:
        """A scalar."""

    def shrink(self, ratio: Tensor) -> None:
        """Multiply the norm with the ratio."""


def product_norm(up: Tensor, down: Tensor) -> Tensor:
    """The Frobenius norm of up @ down, from the two r×r Gram matrices: ‖BA‖² = sum(BᵀB ∘ AAᵀ), without the product.

    Args:
        up: (out, r, …) with all further sides 1.
        down: (r, in, …), the further sides those of a convolution's kernel.
    Returns:
        a scalar on the weights' device.
    """
    b, a = up.flatten(1), down.flatten(1)
    return ((b.mT @ b) * (a @ a.mT)).sum().clamp(min=0.0).sqrt()


def core_norm(middle: Tensor, up: Tensor, down: Tensor) -> Tensor:
    """The Frobenius norm of a Tucker decomposition, from its core and the two Gram matrices.

    Args:
        middle: (a, b, k, k).
        up: (out, a, …) with all further sides 1.
        down: (b, in, …) with all further sides 1.
    """
    b, a = up.flatten(1), down.flatten(1)
    seen = torch.einsum("abkl,ac,bd->cdkl", middle, b.mT @ b, a @ a.mT)
    return (seen * middle).sum().clamp(min=0.0).sqrt()


def axis_norm(weight: Tensor, axis: int) -> Tensor:
    """The norm of every slice along `axis`, with dimensions kept, and a little above 0."""
    others = [dim for dim in range(weight.dim()) if dim != axis]
    found: Tensor = torch.linalg.vector_norm(weight, dim=others, keepdim=True) + torch.finfo(weight.dtype).eps
    return found


def norm_of(values: Tensor) -> Tensor:
    """The Frobenius norm, a scalar."""
    found: Tensor = values.norm()
    return found


def scale_weight_norms(layers: Iterable[Scalable], most: float) -> None:
    """Scale down every layer whose change of the base weights, alpha / rank included, has a norm above `most`; all factors
    by the same root (as kohya-ss/sd-scripts' option of that name). The device is never waited for."""
    with torch.no_grad():
        for layer in layers:
            norm = layer.norm()
            layer.shrink(most / norm.clamp(min=most))
