"""The full-rank difference: ΔW itself is trained, and the bias's with it."""

from __future__ import annotations

from collections.abc import Mapping

from torch import Tensor, nn

from train.adapters.algorithms.dense import dense_output
from train.adapters.inject.base_layer import BaseLayer
from train.adapters.inject.dropout import Dropout


class Full(nn.Module):
    """diff of the weight's shape, diff_b of the bias's."""

    def __init__(self, tensors: Mapping[str, Tensor]) -> None:
        super().__init__()
        self.diff = nn.Parameter(tensors["diff"])
        self.diff_b = nn.Parameter(tensors["diff_b"]) if "diff_b" in tensors else None

    def output(self, site: BaseLayer, x: Tensor, strength: float, drops: Dropout) -> Tensor:
        return dense_output(site, x, self.diff, strength, drops, self.diff_b)

    def delta(self, site: BaseLayer) -> tuple[Tensor, Tensor | None]:
        return self.diff.detach().clone(), None if self.diff_b is None else self.diff_b.detach().clone()

    def norm(self, site: BaseLayer) -> Tensor:
        norm: Tensor = self.diff.norm()
        return norm

    def shrink(self, ratio: Tensor) -> None:
        self.diff.mul_(ratio)
