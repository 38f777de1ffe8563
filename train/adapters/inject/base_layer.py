"""A frozen layer of the base model, and the operations an adapter's weights take part in on it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from train.adapters.algebra.products import column_sums
from train.models.storage import is_kept, kept_weight

FULL = (torch.float32, torch.float64)


@dataclass(eq=False, slots=True)
class BaseLayer:
    """A Linear, Conv2d, LayerNorm or GroupNorm that stays as it is.

    `plain` is the forward pass it had before this adapter, `stacked` whether another adapter is already in that.
    """

    layer: nn.Module
    plain: Callable[[Tensor], Tensor]
    stacked: bool = False
    _squares: tuple[object, Tensor] | None = field(default=None, repr=False)

    @classmethod
    def of(cls, layer: nn.Module) -> BaseLayer:
        return cls(layer, layer.forward, "forward" in vars(layer))

    @property
    def weight(self) -> Tensor:
        return self.layer.weight  # type: ignore[return-value]

    @property
    def shape(self) -> torch.Size:
        """Of the weight."""
        return kept_weight(self.layer).shape

    @property
    def restored(self) -> bool:
        """Whether the weight is kept in other numbers than it computes in; then it is restored at each use."""
        return is_kept(self.layer)

    @property
    def bias(self) -> Tensor | None:
        return self.layer.bias  # type: ignore[return-value]

    @property
    def convolution(self) -> bool:
        return isinstance(self.layer, nn.Conv2d)

    def whole(self) -> Tensor:
        """The weight in float32."""
        return self.weight.detach().float()

    def exact(self, x: Tensor) -> bool:
        """Whether a change may be added to the weight before it is applied: only in full precision, as half rounds a small
        change away, and only where no other adapter is on the layer, which would be passed over."""
        return self.full(x) and not self.stacked

    def full(self, x: Tensor) -> bool:
        """Whether the layer computes in full precision."""
        if x.dtype not in FULL or torch.is_autocast_enabled(x.device.type):
            return False
        return self.restored or kept_weight(self.layer).dtype is x.dtype

    def takes(self, x: Tensor) -> bool:
        """Whether a small change may be made to the input: in float32, which autocast rounds once and only after it."""
        return x.dtype in FULL and not self.stacked

    def plus(self, x: Tensor, change: Tensor) -> Tensor:
        """The layer's output with a change added. In half precision a linear layer adds it within its product, which sums
        in float32 and rounds once; what is added to an output that is rounded already is lost below half of its last bit."""
        if self.full(x) or getattr(self.plain, "__func__", None) is not nn.Linear.forward:
            plain: Tensor = self.plain(x) + change
            return plain
        y: Tensor = torch.addmm(change.flatten(0, -2), x.flatten(0, -2), matched(self.weight, x).mT).unflatten(
            0, x.shape[:-1]
        )
        return y if self.bias is None else y + self.bias.to(y.dtype)

    def apply(self, x: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
        """The layer's operation with another weight of any number of outputs: (out, in) or (out, in, k, k)."""
        weight = matched(weight, x)
        bias = None if bias is None else matched(bias, x)
        if not isinstance(self.layer, nn.Conv2d):
            return F.linear(x, weight, bias)
        return F.conv2d(x, weight, bias, self.layer.stride, self.layer.padding, self.layer.dilation)

    def pointwise(self, x: Tensor, weight: Tensor) -> Tensor:
        """(out, in) on every place of what goes into or comes out of the layer."""
        if not self.convolution:
            return F.linear(x, matched(weight, x))
        return F.conv2d(x, matched(weight, x)[:, :, None, None])

    def channels(self, values: Tensor, x: Tensor) -> Tensor:
        """Values for each channel, shaped and of the dtype to be multiplied with `x`."""
        values = values.flatten().to(x.dtype)
        return values[:, None, None] if self.convolution else values

    def unbiased(self, x: Tensor, y: Tensor) -> Tensor:
        """W·x, of which `y` is what the layer made."""
        if self.stacked:
            return self.apply(x, self.weight)
        return y if self.bias is None else y - self.channels(self.bias, y)

    def column_squares(self) -> Tensor:
        """(in,) float32 squared norm of the weight over each input channel; kept while the weight stays."""
        kept = kept_weight(self.layer)
        key = (kept.dtype, kept.device, kept.data_ptr(), kept._version)
        if self._squares is None or self._squares[0] != key:
            with torch.no_grad():
                self._squares = key, column_sums(self.weight.float().square())
        return self._squares[1]


def matched(weight: Tensor, x: Tensor) -> Tensor:
    """The weight in x's dtype; under autocast as it is, which casts it itself and once a step."""
    return weight if torch.is_autocast_enabled(x.device.type) else weight.to(x.dtype)
