"""The output of a layer whose change is at hand as a whole weight."""

from __future__ import annotations

from torch import Tensor

from train.adapters.inject.base_layer import BaseLayer
from train.adapters.inject.dropout import Dropout


def dense_output(
    site: BaseLayer, x: Tensor, delta: Tensor, strength: float, drops: Dropout, delta_bias: Tensor | None = None
) -> Tensor:
    """One operation with W + ΔW in full precision; in half precision ΔW by itself beside W, which would swallow it.

    Args:
        delta: float32 of the weight's shape.
    """
    added = None if delta_bias is None else strength * delta_bias
    if site.exact(x) and not drops.dropping_neurons:
        weight = site.weight + (delta if strength == 1 else strength * delta)
        bias = site.bias if added is None else added if site.bias is None else site.bias + added
        return site.apply(x, weight, bias)
    return site.plus(x, drops.neurons(site.apply(x, delta if strength == 1 else strength * delta, added)))
