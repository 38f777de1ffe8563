"""Weights of an adapter held to a largest norm, so that no layer outgrows the others."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import torch
from torch import Tensor


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


@torch.no_grad()
def scale_weight_norms(layers: Iterable[Any], most: float) -> None:
    """Scale down every layer whose change of the base weights, alpha / rank included, has a norm above `most`; all factors
    by the same root (as kohya-ss/sd-scripts' option of that name). The device is never waited for.

    Args:
        layers: each with `norm()`, a scalar tensor, and `shrink(ratio)`, which multiplies the norm with the ratio.
    """
    for layer in layers:
        norm = layer.norm()
        layer.shrink(most / norm.clamp(min=most))
