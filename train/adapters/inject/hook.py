"""An algorithm's module hung on its layer.

What half precision keeps of a change and what not, where the base model computes in bfloat16: trained weights, their
gradients and their products stay in float32 or are rounded by themselves, so that ΔW·x is exact to a fraction of a percent
however small it is. The sum with the layer's output has the output's last bit, 1/256 of it, as any output has. A linear
layer adds the change before it rounds, so that a change far below the last bit still acts at full strength on the average
over many outputs; a convolution adds it to what is rounded already, as do OFT, BOFT and (IA)³ on outputs, which change what
the layer gave: there a change below half of the last bit is lost until it has grown. Gradients do not see these sums, so
learning starts alike.
"""

from __future__ import annotations

from typing import Any

from torch import Tensor, nn

from train.adapters.inject.base_layer import BaseLayer
from train.adapters.inject.dropout import Dropout
from train.adapters.inject.registry import Algorithm


class Wrapper:
    """Stands in for a layer's forward pass while it hangs; `block` is where the layer is, such as IN04."""

    def __init__(self, layer: nn.Module, algorithm: Algorithm, drops: Dropout, block: str) -> None:
        self.site, self.algorithm, self.drops, self.block = BaseLayer.of(layer), algorithm, drops, block
        self.strength = 1.0

    def attach(self) -> None:
        self.site = BaseLayer.of(self.site.layer)
        self.site.layer.forward = self

    def detach(self) -> None:
        layer = self.site.layer
        assert vars(layer).get("forward") is self, "adapters come off in the other order than they were hung"
        if self.site.stacked:
            layer.forward = self.site.plain
        else:
            del layer.forward

    def __call__(self, x: Tensor, *args: Any, **kwargs: Any) -> Tensor:
        assert not args and not kwargs, "a layer of the base model takes one tensor"
        if not self.strength or self.drops.skipped():
            return self.site.plain(x)
        return self.algorithm.output(self.site, x, self.strength, self.drops)

    def norm(self) -> Tensor:
        """The norm of what the layer's weight is changed by, before any magnitude of DoRA."""
        norm: Tensor = self.algorithm.norm(self.site)  # type: ignore[attr-defined]
        return norm

    def shrink(self, ratio: Tensor) -> None:
        self.algorithm.shrink(ratio)  # type: ignore[attr-defined]
