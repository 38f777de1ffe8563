"""BOFT (Liu et al. 2023, arXiv:2311.06243), experimental: an orthogonal matrix as a product of sparse ones, butterfly-wise;
stage i mixes channels that are 2^i · n / 2 apart."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from train.adapters.algebra.lazy_torch import torch
from train.adapters.algebra.lycoris import lycoris_module, weights_of
from train.adapters.algebra.norms import norm_of
from train.adapters.algebra.products import in_full
from train.adapters.algebra.rotations import rescaled, rotations, turning
from train.adapters.algorithms import options
from train.adapters.algorithms.algorithm import Algorithm, LayerKind, Tensors
from train.adapters.algorithms.keys import Keys, Shape
from train.adapters.algorithms.oft import rotation_incompatibility
from train.adapters.config import LayerConfig

if TYPE_CHECKING:
    from torch import Tensor, nn

    from train.adapters.inject.base_layer import BaseLayer
    from train.adapters.inject.dropout import Dropout

NAME = "boft"
BLOCKS, RESCALE = "oft_blocks", "rescale"


class Boft:
    """oft_blocks (stages, blocks, n, n); `alpha` and `rescale` as diagonal OFT has them."""

    rank, scale = 0, 1.0

    def __init__(self, tensors: Tensors) -> None:
        self.tensors = tensors

    @staticmethod
    def parameters(weight: Shape, bias: bool, config: LayerConfig) -> int:
        stages, size = division(weight[0], config.rank)
        if not stages:
            raise ValueError(f"it cannot divide {weight[0]} outputs into blocks of up to {config.rank}")
        return math.prod((weight[0], stages, size))

    @staticmethod
    def scaled(weight: Shape, config: LayerConfig) -> bool:
        return False

    @staticmethod
    def library_module(name: str, layer: nn.Module, config: LayerConfig) -> nn.Module:
        return lycoris_module("boft.ButterflyOFTModule", name, layer, config)

    @classmethod
    def initial_weights(cls, name: str, layer: nn.Module, config: LayerConfig) -> dict[str, Tensor]:
        """Without a limit, which the library takes alpha for."""
        return weights_of(cls.library_module(name, layer, config)) | {"alpha": torch.tensor(0.0)}

    @staticmethod
    def constants(tensors: Tensors) -> dict[str, Tensor]:
        limit = tensors.get("alpha")
        return {"alpha": torch.tensor(0.0) if limit is None else limit.float()}

    def output(self, base_layer: BaseLayer, x: Tensor, strength: float, dropout: Dropout) -> Tensor:
        y = base_layer.plain(x)
        base = base_layer.unbiased(x, y).float()
        base = base.movedim(1, -1) if base_layer.convolution else base
        change = self._changed(base, base_layer)
        change = change.movedim(-1, 1) if base_layer.convolution else change
        return y + dropout.neurons((strength * change).to(y.dtype))

    def _changed(self, values: Tensor, base_layer: BaseLayer) -> Tensor:
        """What the stages add to (…, out) float32; each stage's own change is added up, so that small ones stay."""
        turns = turning(self.tensors[BLOCKS], self.tensors["alpha"] * base_layer.weight.shape[0])
        change, factors = torch.zeros_like(values), self.tensors.get(RESCALE)
        with in_full(values):
            for stage, blocks in enumerate(turns):
                change = change + staged(values + change, blocks, 2**stage * blocks.shape[-1] // 2)
        if factors is not None:
            factor = factors.flatten()
            change = factor * change + (factor - 1) * values
        return change

    # --- in files

    def delta(self, weight: Tensor | None) -> Tensor:
        assert weight is not None, "the kind needs a base"
        limit, rows = self.tensors.get("alpha"), weight.flatten(1)
        found = rotations(self.tensors[BLOCKS], 0.0 if limit is None else float(limit) * weight.shape[0])
        for stage, blocks in enumerate(found):
            rows = butterfly(blocks, rows, stage)
        return rescaled(rows.reshape(weight.shape), self.tensors.get(RESCALE)) - weight

    def norm(self, weight: Tensor | None) -> Tensor:
        assert weight is not None, "the kind needs a base"
        return norm_of(self.delta(weight.detach().float()))

    def factors(self, weight: Tensor | None) -> None:
        return None

    def incompatibility(self, client: str) -> str:
        limit = self.tensors.get("alpha")
        return rotation_incompatibility(client, limit is not None and bool(limit))


def staged(values: Tensor, blocks: Tensor, apart: int) -> Tensor:
    """One stage on (…, out): channels paired `apart` from each other, then each block on n of them in a row."""
    count, size = blocks.shape[:2]
    paired = values.unflatten(-1, (-1, 2, apart)).mT.flatten(-3).unflatten(-1, (count, size))
    mixed = torch.einsum("bij,...bj->...bi", blocks, paired).flatten(-2)
    found: Tensor = mixed.unflatten(-1, (-1, apart, 2)).mT.flatten(-3)
    return found


def butterfly(blocks: Tensor, rows: Tensor, stage: int) -> Tensor:
    """Rotate (O, X) rows in groups that lie 2^stage · b/2 apart."""
    size = blocks.shape[-1]
    apart = 2**stage * (size // 2)
    mixed = rows.unflatten(0, (-1, 2, apart)).transpose(1, 2).flatten(0, 2).unflatten(0, (-1, size))
    turned = torch.einsum("bij,bjx->bix", blocks, mixed).flatten(0, 1)
    found: Tensor = turned.unflatten(0, (-1, apart, 2)).transpose(1, 2).flatten(0, 2)
    return found


def division(dimension: int, most: int) -> tuple[int, int]:
    """(stages, size of a block): the largest even block up to `most` whose count is a power of 2; (0, 0) if none is."""
    sizes = [size for size in range(2, most + 1, 2) if dimension % size == 0 and (dimension // size).bit_count() == 1]
    if not sizes:
        return 0, 0
    return (dimension // sizes[-1] - 1).bit_count() + 1, sizes[-1]


LAYERS = LayerKind(
    name=NAME,
    layer=Boft,
    keys=Keys(
        required=(BLOCKS,),
        optional=(RESCALE, "alpha"),
        marks=(BLOCKS,),
        dimensions=4,
        rank=((BLOCKS, 2),),
        pairs=((BLOCKS, 2, BLOCKS, 3),),
    ),
    low_rank=False,
    needs_base=True,
)
BOFT = Algorithm(
    name=NAME,
    lycoris_name=NAME,
    trained=Boft,
    stored=LAYERS,
    takes=options.RANK | options.CHANGES,
    lacks=options.NOT_LOW_RANK | options.NO_FACTORS,
    learning_rate=3e-5,  # PEFT's DreamBooth example of OFT
    rewritten_for=lambda client, config: client != "a1111",
)
