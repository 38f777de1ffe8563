"""(IA)³ (Liu et al. 2022, arXiv:2205.05638): one number a channel, of a layer's output or of its input; ΔW = w ∘ W.

The bias is not scaled, as readers of the file add w ∘ W to the weight.
"""

from __future__ import annotations

from collections.abc import Mapping

from torch import Tensor, nn

from train.adapters.inject.base_layer import BaseLayer
from train.adapters.inject.dropout import Dropout


class Ia3(nn.Module):
    """weight (channels,), on a convolution (1, channels, 1, 1)."""

    def __init__(self, tensors: Mapping[str, Tensor]) -> None:
        super().__init__()
        self.weight = nn.Parameter(tensors["weight"])
        self.register_buffer("on_input", tensors["on_input"])
        self.of_input = bool(self.on_input)

    def output(self, site: BaseLayer, x: Tensor, strength: float, drops: Dropout) -> Tensor:
        if not self.of_input:
            y = site.plain(x)
            return y + drops.neurons(site.unbiased(x, y) * site.channels(strength * self.weight, y))
        changed = x * site.channels(strength * self.weight, x)
        if site.takes(x) and not drops.dropping_neurons:
            return site.plain(x + changed)
        return site.plus(x, drops.neurons(site.apply(changed, site.weight)))

    def delta(self, site: BaseLayer) -> tuple[Tensor, Tensor | None]:
        whole = site.whole()
        sides = [1] * whole.dim()
        sides[1 if self.of_input else 0] = -1
        return whole * self.weight.detach().view(sides), None
