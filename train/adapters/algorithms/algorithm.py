"""The contract of an algorithm: what it says to those who choose and plan it, to training, and to files."""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol

from train.adapters.algorithms.keys import Keys, Shape, Shapes
from train.adapters.config import AdapterConfig, LayerConfig

if TYPE_CHECKING:
    from torch import Tensor, nn

    from train.adapters.algebra.factors import Factors
    from train.adapters.inject.base_layer import BaseLayer
    from train.adapters.inject.dropout import Dropout

Conflict = tuple[str, str]
"""What is wrong and why, and what to type."""


class Tensors(Protocol):
    """The tensors of one layer by their keys: a plain mapping, or those that are trained."""

    def __getitem__(self, key: str, /) -> Tensor: ...

    def __contains__(self, key: object, /) -> bool: ...

    def get(self, key: str, /) -> Tensor | None: ...


class TrainedLayer(Protocol):
    """One layer's adapter in training. An instance holds the layer's tensors, which may move to another device.

    Those that scale_weight_norms can hold have `norm` as a StoredLayer has it, and `shrink(ratio)`, which multiplies it.
    """

    @property
    def rank(self) -> int:
        """What alpha is divided by, 0 where nothing is scaled with alpha / rank."""

    def __init__(self, tensors: Tensors) -> None: ...

    @staticmethod
    def parameters(weight: Shape, bias: bool, config: LayerConfig) -> int:
        """How many parameters it trains on a layer with a weight of that shape.

        Raises:
            ValueError: it cannot divide the layer.
        """

    @staticmethod
    def scaled(weight: Shape, config: LayerConfig) -> bool:
        """Whether what it adds to a weight of that shape is multiplied with alpha / rank."""

    @staticmethod
    def initial_weights(name: str, layer: nn.Module, config: LayerConfig) -> dict[str, Tensor]:
        """Key → tensor, with which the layer is what it was; drawn from torch's global generator.

        Raises:
            ValueError: it cannot divide the layer.
        """

    @staticmethod
    def constants(tensors: Tensors) -> dict[str, Tensor]:
        """Those of the tensors that it needs and does not train, such as alpha, with defaults for what is missing."""

    def output(self, base_layer: BaseLayer, x: Tensor, strength: float, dropout: Dropout) -> Tensor:
        """The layer's output with `strength` of the change."""


class StoredLayer(Protocol):
    """One layer's adapter in a file. An instance holds the layer's tensors in float32."""

    @property
    def scale(self) -> float:
        """What the product of the factors is multiplied with: alpha / rank, 1 where either is missing."""

    def __init__(self, tensors: Tensors) -> None: ...

    def delta(self, weight: Tensor | None) -> Tensor:
        """The difference at strength 1 without DoRA: of the weight's shape, or a matrix (O, I·K).

        Args:
            weight: float32, the one it is added to; None only where the kind needs no base.
        Raises:
            RuntimeError: shapes do not fit each other or the weight.
        """

    def norm(self, weight: Tensor | None) -> Tensor:
        """The Frobenius norm of that difference, a scalar; the weight may be in any precision."""

    def factors(self, weight: Tensor | None) -> Factors | None:
        """Factors of the very same difference, None where the algorithm has none."""

    def incompatibility(self, client: str) -> str:
        """What the client does wrong with the layer, "" where it shows it as it was trained, at every strength; of
        diffusers only for plain kinds."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LayerKind:
    """A kind of layers that files hold."""

    name: str
    layer: type[StoredLayer]
    keys: Keys
    plain: bool = False
    """Whether clients that know nothing beyond LoRA load it."""
    low_rank: bool = True
    """Whether alpha is divided by the rank."""
    needs_base: bool = False
    """Whether the difference depends on the weight it is added to."""
    of_norms: bool = False
    """Whether it changes normalization layers, and no others."""
    elements: Callable[[Shapes], int] = lambda shapes: 0
    """How many values the difference has, where small factors could ask for too many, else 0."""
    inputs: Callable[[Shapes], int] = lambda shapes: 0
    """The input channels of the linear layer it is for, 0 where the keys do not show it."""
    kernel: Callable[[Shapes], Shape | None] = lambda shapes: None
    """The sides of the convolution's kernel, () for a linear layer, None where the keys do not show it."""
    rebuilt: Callable[[Tensors], dict[str, Tensor] | None] = lambda tensors: None
    """The very same layer in other tensors of this kind that more clients show, None where there are none."""
    on_convolution: str = ""
    """What people call it on a convolution larger than 1×1, "" for nothing else."""

    def rank(self, shapes: Shapes) -> int | None:
        """The rank that alpha is divided by, None where there is none."""
        return (self.keys.rank_of(shapes) or None) if self.low_rank else None

    def label(self, shapes: Shapes) -> str:
        """What people call such a layer."""
        large = self.keys.has_core(shapes) or math.prod(self.kernel(shapes) or ()) > 1
        return self.on_convolution if self.on_convolution and large else self.name


@dataclass(frozen=True, slots=True, kw_only=True)
class Algorithm:
    """An algorithm as the option `algorithm` names it."""

    name: str
    lycoris_name: str
    """What LyCORIS calls it (`algo`)."""
    trained: type[TrainedLayer]
    stored: LayerKind
    takes: frozenset[str]
    """The options, of those that belong to some algorithms only, with which it does anything."""
    lacks: Mapping[str, str] = field(default_factory=dict)
    """Why it does not take an option, where more can be said than that it does not."""
    rank_is_bound: bool = False
    """Whether the change is a product of two matrices, so that a rank above a side of the layer adds nothing."""
    learning_rate: float | None = None
    """AdamW's for the UNet, None where no published training is known to have used one."""
    convolutions: bool = True
    """Whether it adapts the UNet's resnets and samplers too, unless the option says otherwise."""
    convolutions_refused: Mapping[str, Conflict] = field(default_factory=dict)
    """Values of the option `convolutions` that cannot be."""
    text_encoder: bool = True
    """Whether it can adapt text encoders."""
    adapts: Callable[[str], bool] = lambda path: True
    """Whether it adapts the linear layer or convolution at a path, if that is a target at all."""
    conflicts: Callable[[AdapterConfig], Iterable[Conflict]] = lambda config: ()
    """What of its options cannot be together."""
    rewritten_for: Callable[[str, AdapterConfig], bool] = lambda client, config: client == "diffusers"
    """Whether a client cannot show what is trained, so that files for it hold another form."""
    kohya_module: str = ""
    """The module of kohya-ss/sd-scripts that trains it, "" where only LyCORIS does."""
    noted_as_kohya: bool = False
    """Whether its plain form is noted in a file's metadata as that module's, not as LyCORIS'."""
    network_args: Callable[[AdapterConfig], dict[str, Any]] = lambda config: {}
    """Its own options as LyCORIS names them, for a file's metadata."""
    metadata_only: bool = False
    """Whether only the metadata distinguish its files from those of another algorithm."""
    detected: Callable[[Collection[Shapes], Mapping[str, str]], dict[str, Any]] = lambda layers, metadata: {}
    """Its own options of an `AdapterConfig`, as a file's layers and metadata show them."""
