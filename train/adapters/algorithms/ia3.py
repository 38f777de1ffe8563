"""(IA)³ (Liu et al. 2022, arXiv:2205.05638): one number a channel, of a layer's output or of its input; ΔW = w ∘ W.

The bias is not scaled, as readers of the file add w ∘ W to the weight.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from train.adapters.algebra.lycoris import lycoris_module, weights_of
from train.adapters.algebra.norms import norm_of
from train.adapters.algorithms import options
from train.adapters.algorithms.algorithm import Algorithm, LayerKind, Tensors
from train.adapters.algorithms.keys import Keys, Shape
from train.adapters.config import LayerConfig

if TYPE_CHECKING:
    from torch import Tensor, nn

    from train.adapters.inject.base_layer import BaseLayer
    from train.adapters.inject.dropout import Dropout

NAME = "ia3"
WEIGHT, ON_INPUT = "weight", "on_input"
OUTPUTS = (".to_k", ".to_v", ".k_proj", ".v_proj")
INPUTS = (".ff.net.2", ".mlp.fc2")
"""Layers whose outputs, and whose inputs, are scaled: keys, values, and what goes into the second layer of each
feed-forward network."""


class Ia3:
    """weight (channels,), on a convolution (1, channels, 1, 1), and on_input, which is not trained."""

    rank, scale = 0, 1.0

    def __init__(self, tensors: Tensors) -> None:
        self.tensors, self.on_input = tensors, bool(tensors[ON_INPUT])

    @staticmethod
    def parameters(weight: Shape, bias: bool, config: LayerConfig) -> int:
        return weight[1 if config.path.endswith(INPUTS) else 0]

    @staticmethod
    def scaled(weight: Shape, config: LayerConfig) -> bool:
        return False

    @staticmethod
    def library_module(name: str, layer: nn.Module, config: LayerConfig) -> nn.Module:
        return lycoris_module("ia3.IA3Module", name, layer, config, train_on_input=config.path.endswith(INPUTS))

    @classmethod
    def initial_weights(cls, name: str, layer: nn.Module, config: LayerConfig) -> dict[str, Tensor]:
        return weights_of(cls.library_module(name, layer, config))

    @staticmethod
    def constants(tensors: Tensors) -> dict[str, Tensor]:
        return {ON_INPUT: tensors[ON_INPUT]}

    def output(self, base_layer: BaseLayer, x: Tensor, strength: float, dropout: Dropout) -> Tensor:
        weight = strength * self.tensors[WEIGHT]
        if not self.on_input:
            y = base_layer.plain(x)
            return y + dropout.neurons(base_layer.unbiased(x, y) * base_layer.channels(weight, y))
        changed = x * base_layer.channels(weight, x)
        if base_layer.takes(x) and not dropout.dropping_neurons:
            return base_layer.plain(x + changed)
        return base_layer.plus(x, dropout.neurons(base_layer.apply(changed, base_layer.weight)))

    # --- in files

    def delta(self, weight: Tensor | None) -> Tensor:
        assert weight is not None, "the kind needs a base"
        sides = [1] * weight.dim()
        sides[1 if self.on_input else 0] = -1
        return weight * self.tensors[WEIGHT].flatten().reshape(sides)

    def norm(self, weight: Tensor | None) -> Tensor:
        assert weight is not None, "the kind needs a base"
        return norm_of(self.delta(weight.detach().float()))

    def factors(self, weight: Tensor | None) -> None:
        return None

    def incompatibility(self, client: str) -> str:
        if client == "a1111":
            stops = self.tensors[WEIGHT].dim() > 1 and not self.on_input
            return "(IA)³ on the outputs of a convolution stops it" if stops else ""
        return "(IA)³ is not known"


LAYERS = LayerKind(
    name=NAME,
    layer=Ia3,
    keys=Keys(required=(WEIGHT, ON_INPUT), optional=("alpha",), marks=(ON_INPUT,)),
    low_rank=False,
    needs_base=True,
)
IA3 = Algorithm(
    name=NAME,
    lycoris_name=NAME,
    trained=Ia3,
    stored=LAYERS,
    takes=options.CHANGES,
    lacks=options.NO_RANK | options.NOT_LOW_RANK | options.NO_FACTORS,
    learning_rate=5e-3,  # the lower end of what LyCORIS' list of algorithms asks for
    convolutions=False,
    convolutions_refused={
        "yes": (
            f'convolutions is "yes", but algorithm {NAME} adapts the transformer layers only',
            'leave convolutions out, or use algorithm = "locon"',
        )
    },
    adapts=lambda path: path.endswith(OUTPUTS) or path.endswith(INPUTS),
    rewritten_for=lambda client, config: client != "a1111",
)
