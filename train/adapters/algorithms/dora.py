"""Weight decomposition (DoRA, Liu et al. 2024, arXiv:2402.09353): the changed weight's direction, with a trained magnitude.

The magnitude is that of each input channel, the one axis on which A1111, Forge and ComfyUI render it:
W' = (W + ΔW) · m / ‖W + ΔW‖, the norm over outputs and kernel.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from train.adapters.inject.base_layer import BaseLayer, column_sums, in_full

EPSILON = torch.finfo(torch.float32).eps


def product_gain(site: BaseLayer, magnitude: Tensor, up: Tensor, down: Tensor) -> Tensor:
    """(in,) m / ‖W + up·down‖ without the product: ‖W‖² + 2⟨upᵀW, down⟩ + ⟨(upᵀup) down, down⟩.

    Args:
        magnitude: (1, in, …), the trained m.
        up: (out, r), with alpha / rank in it.
        down: (r, in, …).
    """
    with in_full(up):
        flat = down.flatten(1)
        crossed = up.mT @ site.whole().flatten(1)
        changed = ((2 * crossed + (up.mT @ up) @ flat) * flat).sum(0).view(down.shape[1], -1).sum(1)
        return magnitude.flatten() / ((site.column_squares() + changed).clamp(min=0).sqrt() + EPSILON)


def decomposed(whole: Tensor, delta: Tensor, magnitude: Tensor) -> Tensor:
    """What is added to the weight `whole` when W + ΔW takes the magnitude, all float32 of the weight's shape."""
    changed = whole + delta
    norm = column_sums(changed.square()).sqrt()
    return changed * (magnitude.flatten() / (norm + EPSILON)).view(magnitude.shape) - whole


def decomposed_output(
    site: BaseLayer, x: Tensor, gain: Tensor, added: Callable[[Tensor], Tensor], strength: float
) -> Tensor:
    """The layer's output on inputs with their gain, where `added(x)` is ΔW·x; where the input is in half
    precision only what changes is scaled, as a gain near 1 would be rounded to it."""
    scaled = x * site.channels(gain, x)
    if site.takes(x) and strength == 1:
        return site.plus(scaled, added(scaled))
    changed = site.apply(x * site.channels(gain - 1, x), site.weight) + added(scaled)
    return site.plus(x, strength * changed)
