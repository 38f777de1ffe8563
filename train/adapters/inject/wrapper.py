"""The adapter of a layer, attached to it.

What half precision keeps of a change and what not, where the base model computes in bfloat16: trained weights, their
gradients and their products stay in float32 or are rounded by themselves, so that ΔW·x is exact to a fraction of a percent
however small it is. The sum with the layer's output has the output's last bit, 1/256 of it, as any output has. A linear
layer adds the change before it rounds, so that a change far below the last bit still acts at full strength on the average
over many outputs; a convolution adds it to what is rounded already, as do rotations and scales of outputs, which change what
the layer gave: there a change below half of the last bit is lost until it has grown. Gradients do not see these sums, so
learning starts alike.
"""

from __future__ import annotations

from typing import Any, Protocol, runtime_checkable

from torch import Tensor, nn

from train.adapters.algorithms.algorithm import Algorithm, Tensors
from train.adapters.inject.base_layer import BaseLayer
from train.adapters.inject.dropout import Dropout


@runtime_checkable
class Shrinkable(Protocol):
    """A layer's adapter whose norm can be held."""

    def norm(self, weight: Tensor | None) -> Tensor: ...

    def shrink(self, ratio: Tensor) -> None: ...


class Wrapper:
    """Stands in for a layer's forward pass while it is attached; `block` is where the layer is, such as IN04."""

    def __init__(self, layer: nn.Module, algorithm: Algorithm, tensors: Tensors, dropout: Dropout, block: str) -> None:
        self.base_layer, self.dropout, self.block = BaseLayer.of(layer), dropout, block
        self.algorithm, self.trained = algorithm, algorithm.trained(tensors)
        self.strength = 1.0

    def attach(self) -> None:
        self.base_layer = BaseLayer.of(self.base_layer.layer)
        self.base_layer.layer.forward = self

    def detach(self) -> None:
        layer = self.base_layer.layer
        assert vars(layer).get("forward") is self, (
            "adapters are detached in the reverse of the order they were attached in"
        )
        if self.base_layer.stacked:
            layer.forward = self.base_layer.plain
        else:
            del layer.forward

    def __call__(self, x: Tensor, *args: Any, **kwargs: Any) -> Tensor:
        assert not args and not kwargs, "a layer of the base model takes one tensor"
        if not self.strength or self.dropout.skipped():
            return self.base_layer.plain(x)
        return self.trained.output(self.base_layer, x, self.strength, self.dropout)

    @property
    def shrinkable(self) -> bool:
        """Whether the norm of the change can be held."""
        return isinstance(self.trained, Shrinkable)

    def norm(self) -> Tensor:
        """The norm of what the layer's weight is changed by, before any magnitude of DoRA."""
        assert isinstance(self.trained, Shrinkable)
        return self.trained.norm(self.base_layer.weight)

    def shrink(self, ratio: Tensor) -> None:
        assert isinstance(self.trained, Shrinkable)
        self.trained.shrink(ratio)
