"""LoRA (Hu et al. 2021, arXiv:2106.09685), on convolutions too: ΔW = alpha / r · up·down, or Tucker-decomposed with a
small core between them (LoCon of LyCORIS, Yeh et al. 2023, arXiv:2309.14859)."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from train.adapters.algebra.alpha import alpha_constant, alpha_scale
from train.adapters.algebra.dora import decomposed_output, dora_incompatibility, magnitude_axis, product_gain
from train.adapters.algebra.factors import Factors, balanced
from train.adapters.algebra.lazy_torch import torch
from train.adapters.algebra.lycoris import lycoris_module, weights_of
from train.adapters.algebra.norms import core_norm, product_norm
from train.adapters.algebra.products import core, with_core
from train.adapters.algorithms import options
from train.adapters.algorithms.algorithm import Algorithm, LayerKind, Tensors
from train.adapters.algorithms.keys import Keys, Shape, Shapes, side
from train.adapters.config import AdapterConfig, LayerConfig

if TYPE_CHECKING:
    from torch import Tensor, nn

    from train.adapters.inject.base_layer import BaseLayer
    from train.adapters.inject.dropout import Dropout

NAME = "lora"
UP, MID, DOWN = "lora_up.weight", "lora_mid.weight", "lora_down.weight"
KEYS = Keys(
    required=(UP, DOWN),
    optional=(MID, "dora_scale", "alpha"),
    marks=(DOWN, UP),
    core=(MID,),
    rank=((DOWN, 0),),
    pairs=((UP, 1, DOWN, 0),),
    core_pairs=((UP, 1, MID, 0), (MID, 1, DOWN, 0)),
)


class Lora:
    """up (out, r, 1, 1), mid (r, r, k, k) if any, down (r, in, k, k), the kernel's sides only on convolutions."""

    def __init__(self, tensors: Tensors) -> None:
        self.tensors = tensors
        self.rank = tensors[DOWN].shape[0]
        self.scale = alpha_scale(tensors.get("alpha"), self.rank)

    @staticmethod
    def parameters(weight: Shape, bias: bool, config: LayerConfig) -> int:
        return chain(weight, config) + (weight[1] if config.dora else 0)

    @staticmethod
    def scaled(weight: Shape, config: LayerConfig) -> bool:
        return True

    @staticmethod
    def library_module(name: str, layer: nn.Module, config: LayerConfig) -> nn.Module:
        return lycoris_module("locon.LoConModule", name, layer, config)

    @classmethod
    def initial_weights(cls, name: str, layer: nn.Module, config: LayerConfig) -> dict[str, Tensor]:
        return weights_of(cls.library_module(name, layer, config))

    @staticmethod
    def constants(tensors: Tensors) -> dict[str, Tensor]:
        return alpha_constant(tensors.get("alpha"), tensors[DOWN].shape[0])

    def output(self, base_layer: BaseLayer, x: Tensor, strength: float, dropout: Dropout) -> Tensor:
        """Along the chain of small factors, never as a weight; so nothing is rounded away beside a large base weight."""
        magnitude = self.tensors.get("dora_scale")
        up = self._up(self.scale if magnitude is not None else self.scale * strength, dropout)
        if magnitude is None:
            return base_layer.plus(x, self._chain(base_layer, x, up, dropout))
        gain = product_gain(base_layer, magnitude, up, self._down())
        return decomposed_output(
            base_layer, x, gain, lambda scaled: self._chain(base_layer, scaled, up, dropout), strength
        )

    def _up(self, scale: float, dropout: Dropout) -> Tensor:
        up = self.tensors[UP].flatten(1)
        kept = dropout.ranks(up)
        return up * (scale if kept is None else scale * kept)

    def _down(self) -> Tensor:
        down, middle = self.tensors[DOWN], self.tensors.get(MID)
        if middle is None:
            return down
        return core(middle, torch.eye(self.rank, device=down.device), down.flatten(1))

    def _chain(self, base_layer: BaseLayer, x: Tensor, up: Tensor, dropout: Dropout) -> Tensor:
        down, middle = self.tensors[DOWN], self.tensors.get(MID)
        if middle is None:
            inner = base_layer.apply(x, down)
        else:
            inner = base_layer.apply(base_layer.pointwise(x, down.flatten(1)), middle)
        return base_layer.pointwise(dropout.neurons(inner), up)

    def norm(self, weight: Tensor | None) -> Tensor:
        up, down, middle = self.tensors[UP], self.tensors[DOWN], self.tensors.get(MID)
        return (product_norm(up, down) if middle is None else core_norm(middle, up, down)) * self.scale

    def shrink(self, ratio: Tensor) -> None:
        root = ratio.sqrt()
        self.tensors[UP].mul_(root)
        self.tensors[DOWN].mul_(root)

    # --- in files

    def delta(self, weight: Tensor | None) -> Tensor:
        up, down = self._pair()
        return torch.full((), self.scale, dtype=up.dtype, device=up.device) * (up @ down)

    def factors(self, weight: Tensor | None) -> Factors:
        up, down = self._pair()
        return Factors(up * self.scale, down)

    def _pair(self) -> tuple[Tensor, Tensor]:
        """(O, R) and (R, I·K), a core multiplied into the second."""
        up, down, middle = self.tensors[UP].flatten(1), self.tensors[DOWN].flatten(1), self.tensors.get(MID)
        return up, down if middle is None else with_core(middle, down)

    def incompatibility(self, client: str) -> str:
        if client == "diffusers" and MID in self.tensors:
            return f"a Tucker core ({MID.partition('.')[0]}) is refused"
        magnitude = self.tensors.get("dora_scale")
        return dora_incompatibility(client, None if magnitude is None else magnitude_axis(tuple(magnitude.shape)))


def lora_tensors(factors: Factors, kernel: Shape, scale: float = 1.0) -> dict[str, Tensor]:
    """The tensors of a layer with the effect of these factors, both equally long; `scale` is what alpha / rank shall be.

    Args:
        kernel: the sides of the kernel, () for a linear layer; they divide the factors' columns.
    """
    even = balanced(Factors(factors.up, factors.down / scale))
    return {
        UP: even.up.reshape(*even.up.shape, *[1] * len(kernel)),
        DOWN: even.down.reshape(even.rank, -1, *kernel),
        "alpha": torch.tensor(scale * even.rank),
    }


def reshaped(tensors: Tensors, kernel: Shape) -> dict[str, Tensor]:
    """Both factors in the number of dimensions that a module with that kernel has."""
    up, down = tensors[UP], tensors[DOWN]
    return {
        UP: up.reshape(*up.shape[:2], *[1] * len(kernel)),
        DOWN: down.reshape(down.shape[0], -1, *kernel),
    }


def chain(weight: Shape, config: LayerConfig) -> int:
    """Parameters of one product of low rank on a weight (out, in) or (out, in, k, k), with a core where it has one."""
    out, inner, kernel = weight[0], weight[1], math.prod(weight[2:])
    if config.tucker and kernel > 1:
        return config.rank * (inner + out) + config.rank**2 * kernel
    return config.rank * (inner * kernel + out)


def _elements(shapes: Shapes) -> int:
    kernel = shapes[MID][2:] if MID in shapes else shapes.get(DOWN, ())[2:]
    return side(shapes, UP) * side(shapes, DOWN, 1) * math.prod(kernel)


def _kernel(shapes: Shapes) -> Shape | None:
    found = shapes.get(MID, shapes.get(DOWN))
    return None if found is None else found[2:]


def _rewritten_for(client: str, config: AdapterConfig) -> bool:
    return client == "diffusers" and (config.dora or config.tucker)


LAYERS = LayerKind(
    name=NAME,
    layer=Lora,
    keys=KEYS,
    elements=_elements,
    inputs=lambda shapes: side(shapes, DOWN, 1),
    kernel=_kernel,
    plain=True,
    on_convolution="locon",
)
LORA = Algorithm(
    name=NAME,
    lycoris_name=NAME,
    trained=Lora,
    stored=LAYERS,
    rank_is_bound=True,
    takes=options.LOW_RANK | {"dora", "rank_dropout"},
    lacks=options.NO_CORE,
    learning_rate=5e-4,  # the default of diffusers' DreamBooth script for LoRA
    convolutions=False,
    convolutions_refused={
        "yes": (
            'convolutions is "yes", but algorithm lora adapts the transformer layers only',
            'leave convolutions out, or use algorithm = "locon"',
        )
    },
    rewritten_for=_rewritten_for,
    kohya_module="networks.lora",
    noted_as_kohya=True,
)
LOCON = Algorithm(
    name="locon",
    lycoris_name="locon",
    trained=Lora,
    stored=LAYERS,
    rank_is_bound=True,
    takes=options.LOW_RANK | {"dora", "tucker", "rank_dropout"},
    learning_rate=2e-4,  # alea31415's LyCORIS experiments (Hugging Face), Roukin8-character LoHa/LoCon (CivArchive)
    convolutions_refused={
        "no": ('convolutions is "no", but locon is LoRA with convolutions', 'use algorithm = "lora"')
    },
    rewritten_for=_rewritten_for,
)
