"""BOFT (Liu et al. 2023, arXiv:2311.06243), experimental: an orthogonal matrix as a product of sparse ones, butterfly-wise;
stage i mixes channels that are 2^i · n / 2 apart."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor, nn

from train.adapters.algorithms.oft import turning
from train.adapters.inject.base_layer import BaseLayer, in_full
from train.adapters.inject.dropout import Dropout


class Boft(nn.Module):
    """oft_blocks (stages, blocks, n, n); `alpha` and `rescale` as diagonal OFT has them."""

    alpha: Tensor

    def __init__(self, tensors: Mapping[str, Tensor]) -> None:
        super().__init__()
        self.oft_blocks = nn.Parameter(tensors["oft_blocks"])
        self.rescale = nn.Parameter(tensors["rescale"]) if "rescale" in tensors else None
        self.register_buffer("alpha", tensors.get("alpha", torch.tensor(0.0)).float())

    def output(self, site: BaseLayer, x: Tensor, strength: float, drops: Dropout) -> Tensor:
        y = site.plain(x)
        base = site.unbiased(x, y).float()
        base = base.movedim(1, -1) if site.convolution else base
        change = self._changed(base, site)
        change = change.movedim(-1, 1) if site.convolution else change
        return y + drops.neurons((strength * change).to(y.dtype))

    def delta(self, site: BaseLayer) -> tuple[Tensor, Tensor | None]:
        whole = site.whole()
        return self._changed(whole.flatten(1).mT, site).mT.reshape(whole.shape), None

    def _changed(self, values: Tensor, site: BaseLayer) -> Tensor:
        """What the stages add to (…, out) float32; each stage's own change is added up, so that small ones stay."""
        turns = turning(self.oft_blocks, self.alpha * site.weight.shape[0])
        change = torch.zeros_like(values)
        with in_full(values):
            for stage, blocks in enumerate(turns):
                change = change + staged(values + change, blocks, 2**stage * blocks.shape[-1] // 2)
        if self.rescale is not None:
            factor = self.rescale.flatten()
            change = factor * change + (factor - 1) * values
        return change


def staged(values: Tensor, blocks: Tensor, apart: int) -> Tensor:
    """One stage on (…, out): channels paired `apart` from each other, then each block on n of them in a row."""
    count, size = blocks.shape[:2]
    paired = values.unflatten(-1, (-1, 2, apart)).mT.flatten(-3).unflatten(-1, (count, size))
    mixed = torch.einsum("bij,...bj->...bi", blocks, paired).flatten(-2)
    parted: Tensor = mixed.unflatten(-1, (-1, apart, 2)).mT.flatten(-3)
    return parted
