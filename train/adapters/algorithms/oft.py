"""Diagonal OFT (Qiu et al. 2023, arXiv:2306.07280; LyCORIS): W' = blockdiag(R)ᵀ·W, each R orthogonal."""

from __future__ import annotations

from typing import TYPE_CHECKING

from train.adapters.algebra.division import sides
from train.adapters.algebra.lazy_torch import torch
from train.adapters.algebra.lycoris import lycoris_module, weights_of
from train.adapters.algebra.norms import norm_of
from train.adapters.algebra.rotations import rescaled, rotations, turning
from train.adapters.algorithms import options
from train.adapters.algorithms.algorithm import Algorithm, LayerKind, Tensors
from train.adapters.algorithms.keys import Keys, Shape
from train.adapters.config import LayerConfig

if TYPE_CHECKING:
    from torch import Tensor, nn

    from train.adapters.inject.base_layer import BaseLayer
    from train.adapters.inject.dropout import Dropout

NAME = "oft"
BLOCKS, RESCALE = "oft_blocks", "rescale"


class Oft:
    """oft_blocks (blocks, n, n); `alpha` is the limit on Q for each output, `rescale` (out, 1, …) a factor for each."""

    rank, scale = 0, 1.0

    def __init__(self, tensors: Tensors) -> None:
        self.tensors = tensors

    @staticmethod
    def parameters(weight: Shape, bias: bool, config: LayerConfig) -> int:
        return weight[0] * sides(weight[0], config.rank)[0]

    @staticmethod
    def scaled(weight: Shape, config: LayerConfig) -> bool:
        return False

    @staticmethod
    def library_module(name: str, layer: nn.Module, config: LayerConfig) -> nn.Module:
        return lycoris_module("diag_oft.DiagOFTModule", name, layer, config)

    @classmethod
    def initial_weights(cls, name: str, layer: nn.Module, config: LayerConfig) -> dict[str, Tensor]:
        """Without a limit, which the library takes alpha for."""
        return weights_of(cls.library_module(name, layer, config)) | {"alpha": torch.tensor(0.0)}

    @staticmethod
    def constants(tensors: Tensors) -> dict[str, Tensor]:
        limit = tensors.get("alpha")
        return {"alpha": torch.tensor(0.0) if limit is None else limit.float()}

    def output(self, base_layer: BaseLayer, x: Tensor, strength: float, dropout: Dropout) -> Tensor:
        """On what the layer gives, without its bias."""
        y, factors = base_layer.plain(x), self.tensors.get(RESCALE)
        base = base_layer.unbiased(x, y)
        turns = strength * turning(self.tensors[BLOCKS], self.tensors["alpha"] * base_layer.weight.shape[0])
        change = turned(base, turns, base_layer.convolution)
        if factors is not None:
            change = change * base_layer.channels(factors, y)
            change = change + base * base_layer.channels(strength * (factors - 1), y)
        return y + dropout.neurons(change)

    # --- in files

    def delta(self, weight: Tensor | None) -> Tensor:
        """Every block's rows rotated by its transpose, rows then rescaled."""
        assert weight is not None, "the kind needs a base"
        limit = self.tensors.get("alpha")
        blocks = rotations(self.tensors[BLOCKS], 0.0 if limit is None else float(limit) * weight.shape[0])
        return rescaled(rotate(blocks, weight), self.tensors.get(RESCALE)) - weight

    def norm(self, weight: Tensor | None) -> Tensor:
        assert weight is not None, "the kind needs a base"
        return norm_of(self.delta(weight.detach().float()))

    def factors(self, weight: Tensor | None) -> None:
        return None

    def incompatibility(self, client: str) -> str:
        limit = self.tensors.get("alpha")
        limited = limit is not None and bool(limit)
        if client == "comfyui" and RESCALE in self.tensors and not limited:
            return "the rescaling of OFT is left out"
        return rotation_incompatibility(client, limited)


def turned(values: Tensor, turns: Tensor, convolution: bool) -> Tensor:
    """blockdiag(turns)ᵀ on the channels of (…, out) or (B, out, H, W)."""
    turns = turns.to(values.dtype)
    blocks, size = turns.shape[:2]
    if convolution:
        change: Tensor = (turns.mT @ values.flatten(2).unflatten(1, (blocks, size))).reshape(values.shape)
        return change
    split = values.reshape(-1, blocks, size).transpose(0, 1)
    return (split @ turns).transpose(0, 1).reshape(values.shape)


def rotate(blocks: Tensor, weight: Tensor) -> Tensor:
    """blockdiag(blocks)ᵀ on the rows of a weight."""
    rows = weight.reshape(blocks.shape[0], blocks.shape[1], -1)
    return torch.einsum("knm,knx->kmx", blocks, rows).reshape(weight.shape)


def rotation_incompatibility(client: str, limited: bool) -> str:
    """What a client does wrong with rotations, whether or not they have a limit."""
    if client == "a1111":
        return ""
    if client == "forge":
        return "OFT is not known"
    if limited:
        return "the limit of the rotation is taken for another"
    return "rotations take the strength twice, so they are right at strength 1 only"


LAYERS = LayerKind(
    name=NAME,
    layer=Oft,
    keys=Keys(
        required=(BLOCKS,),
        optional=(RESCALE, "alpha"),
        marks=(BLOCKS,),
        dimensions=3,
        rank=((BLOCKS, 1),),
        pairs=((BLOCKS, 1, BLOCKS, 2),),
    ),
    low_rank=False,
    needs_base=True,
)
OFT = Algorithm(
    name=NAME,
    lycoris_name="diag-oft",
    kohya_module="networks.oft",
    trained=Oft,
    stored=LAYERS,
    takes=options.RANK | options.CHANGES,
    lacks=options.NOT_LOW_RANK | options.NO_FACTORS,
    learning_rate=3e-5,  # PEFT's DreamBooth example
    rewritten_for=lambda client, config: client != "a1111",
)
