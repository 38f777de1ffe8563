"""The output of a layer whose change is at hand as a whole weight."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from torch import Tensor

    from train.adapters.inject.base_layer import BaseLayer
    from train.adapters.inject.dropout import Dropout


def dense_output(
    base_layer: BaseLayer,
    x: Tensor,
    delta: Tensor,
    strength: float,
    dropout: Dropout,
    delta_bias: Tensor | None = None,
) -> Tensor:
    """One operation with W + ΔW in full precision; in half precision ΔW by itself beside W, which would swallow it.

    Args:
        delta: float32 of the weight's shape.
    """
    added = None if delta_bias is None else strength * delta_bias
    if base_layer.exact(x) and not dropout.dropping_neurons:
        weight = base_layer.weight + (delta if strength == 1 else strength * delta)
        bias = base_layer.bias if added is None else added if base_layer.bias is None else base_layer.bias + added
        return base_layer.apply(x, weight, bias)
    changed = base_layer.apply(x, delta if strength == 1 else strength * delta, added)
    return base_layer.plus(x, dropout.neurons(changed))
