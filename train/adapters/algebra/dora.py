"""Weight decomposition (DoRA, Liu et al. 2024, arXiv:2402.09353): the changed weight's direction, with a trained magnitude.

The magnitude trained here is that of each input channel, the one axis on which A1111, Forge and ComfyUI render it:
W' = (W + ΔW) · m / ‖W + ΔW‖, the norm over outputs and kernel. Files of other trainers may have it for each output.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from train.adapters.algebra.norms import axis_norm
from train.adapters.algebra.products import column_sums, in_full

if TYPE_CHECKING:
    from torch import Tensor

    from train.adapters.inject.base_layer import BaseLayer

EPSILON = 2.0**-23
"""The machine epsilon of float32."""


def product_gain(base_layer: BaseLayer, magnitude: Tensor, up: Tensor, down: Tensor) -> Tensor:
    """(in,) m / ‖W + up·down‖ without the product: ‖W‖² + 2⟨upᵀW, down⟩ + ⟨(upᵀup) down, down⟩.

    Args:
        magnitude: (1, in, …), the trained m.
        up: (out, r), with alpha / rank in it.
        down: (r, in, …).
    """
    with in_full(up):
        flat = down.flatten(1)
        crossed = up.mT @ base_layer.whole().flatten(1)
        changed = ((2 * crossed + (up.mT @ up) @ flat) * flat).sum(0).view(down.shape[1], -1).sum(1)
        return magnitude.flatten() / ((base_layer.column_squares() + changed).clamp(min=0).sqrt() + EPSILON)


def decomposed(whole: Tensor, delta: Tensor, magnitude: Tensor) -> Tensor:
    """What is added to the weight `whole` when W + ΔW takes the magnitude, all float32 of the weight's shape."""
    changed = whole + delta
    norm = column_sums(changed.square()).sqrt()
    return changed * (magnitude.flatten() / (norm + EPSILON)).view(magnitude.shape) - whole


def decomposed_output(
    base_layer: BaseLayer, x: Tensor, gain: Tensor, added: Callable[[Tensor], Tensor], strength: float
) -> Tensor:
    """The layer's output on inputs with their gain, where `added(x)` is ΔW·x; where the input is in half
    precision only what changes is scaled, as a gain near 1 would be rounded to it."""
    scaled = x * base_layer.channels(gain, x)
    if base_layer.takes(x) and strength == 1:
        return base_layer.plus(scaled, added(scaled))
    changed = base_layer.apply(x * base_layer.channels(gain - 1, x), base_layer.weight) + added(scaled)
    return base_layer.plus(x, strength * changed)


# --- in files


def magnitude_axis(shape: tuple[int, ...], inputs: int = 0) -> str:
    """Which channels the magnitudes of a file are those of: `input` or `output`.

    Args:
        inputs: how many input channels the layer has, where that is known.
    """
    return "input" if len(shape) > 1 and shape[0] == 1 and inputs in (0, shape[1]) else "output"


def decomposed_along(axis: str, weight: Tensor, delta: Tensor, magnitude: Tensor) -> Tensor:
    """The changed weight brought to the magnitudes of either axis, less the weight."""
    changed = weight + delta
    along = axis_norm(changed, 1 if axis == "input" else 0)
    return changed * (magnitude.reshape(along.shape) / along) - weight


def dora_incompatibility(client: str, axis: str | None) -> str:
    """What a client does wrong with magnitudes along the axis, "" where it does nothing wrong or there are none."""
    if client == "diffusers":
        return "DoRA's magnitudes are dropped" if axis else ""
    if axis != "output":
        return ""
    if client == "a1111":
        return "DoRA along the output axis is taken for the input axis"
    return "DoRA along the output axis is scaled by the norm of the unchanged weight"
