"""One layer of an adapter file: its algorithm, rank and scale, and what is wrong with it."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor

from pipeline.core.errors import PrepError
from train.adapters.algebra.dora import magnitude_axis
from train.adapters.algebra.factors import Factors
from train.adapters.algorithms.algorithm import LayerKind, StoredLayer
from train.adapters.algorithms.full import NAME as FULL
from train.adapters.algorithms.full import full_tensors
from train.adapters.algorithms.keys import Shapes
from train.adapters.algorithms.lora import NAME as LORA
from train.adapters.algorithms.lora import lora_tensors
from train.adapters.registry import KINDS

EXACT_FORMS = (LORA, FULL)
"""Kinds that any other layer can be rewritten as, one way or the other."""
LARGEST = 2**28
"""Elements of a weight beyond any Stable Diffusion layer's; small factors of a hostile file could ask for more."""


@dataclass(frozen=True, slots=True)
class Layer:
    """The weights of one layer in float32, by the suffix LyCORIS gives them (`lora_down.weight`, `alpha` …); `algorithm` is
    the name of its kind."""

    name: str
    algorithm: str
    tensors: Mapping[str, Tensor]

    @property
    def kind(self) -> LayerKind:
        return KINDS[self.algorithm]

    @property
    def weights(self) -> StoredLayer:
        """The tensors, with what their algorithm makes of them."""
        return self.kind.layer(self.tensors)

    @property
    def shapes(self) -> Shapes:
        return {suffix: tuple(tensor.shape) for suffix, tensor in self.tensors.items()}

    def get(self, suffix: str) -> Tensor | None:
        return self.tensors.get(suffix)

    @property
    def rank(self) -> int | None:
        """The rank that alpha is divided by, None where there is none."""
        return self.kind.rank(self.shapes)

    @property
    def alpha(self) -> float | None:
        alpha = self.get("alpha")
        return None if alpha is None else float(alpha)

    @property
    def scale(self) -> float:
        """What the product of the factors is multiplied with: alpha / rank, 1 where either is missing."""
        return self.weights.scale

    @property
    def tucker(self) -> bool:
        return self.kind.keys.has_core(self.tensors)

    @property
    def bias(self) -> Tensor | None:
        """The change of the layer's bias."""
        return self.get(self.kind.keys.bias)

    @property
    def dora(self) -> str | None:
        """Which axis a DoRA magnitude runs along: `input`, `output`, or None without one."""
        magnitude = self.get("dora_scale")
        return None if magnitude is None else magnitude_axis(tuple(magnitude.shape))

    @property
    def needs_base(self) -> bool:
        """Whether the difference depends on the weight it is added to."""
        return self.kind.needs_base or self.dora is not None


def input_channels(kind: LayerKind, shapes: Shapes) -> int:
    """The input channels of the layer, 0 where the keys do not show them."""
    return kind.inputs(shapes) if kind.name == LORA else 0


def lora_layer(name: str, factors: Factors, kernel: tuple[int, ...], scale: float = 1.0) -> Layer:
    """A LoRA layer with the effect of these factors; `scale` is what alpha / rank shall be.

    Raises:
        PrepError: the difference's width is no multiple of the kernel's size.
    """
    if factors.down.shape[1] % math.prod(kernel):
        raise PrepError(
            f"{name}: {factors.down.shape[1]} columns are no whole number of {'×'.join(map(str, kernel))} kernels",
            "give the model the adapter was trained on with --base",
        )
    return Layer(name, LORA, lora_tensors(factors, kernel, scale))


def whole_layer(name: str, delta: Tensor, bias: Tensor | None) -> Layer:
    """A layer that holds the very difference, and a change of the bias if there is one."""
    return Layer(name, FULL, full_tensors(delta, bias))


def faults(name: str, kind: LayerKind, shapes: Shapes) -> list[str]:
    """What is wrong with a layer's keys and shapes: factors that are missing, left over, or do not fit together."""
    found = [f"{name}: {suffix} is missing" for suffix in kind.keys.missing(shapes)]
    found += [f"{name}: {suffix} does not belong to {kind.name}" for suffix in kind.keys.foreign(shapes)]
    found += [f"{name}: {suffix} is empty" for suffix, shape in shapes.items() if 0 in shape]
    if len(shapes.get("alpha", ())) > 1 or shapes.get("alpha", ()) not in ((), (1,)):
        found.append(f"{name}: alpha is no single number but of shape {list(shapes['alpha'])}")
    return found or [f"{name}: {words}" for words in kind.keys.misfits(shapes)]


def checked(layer: Layer) -> Layer:
    """The layer, if its numbers can be computed with.

    Raises:
        PrepError: a weight is not finite, alpha is not above 0, or the difference would be too large.
    """
    for suffix, tensor in layer.tensors.items():
        if not bool(torch.isfinite(tensor).all()):
            raise PrepError(
                f"{layer.name}.{suffix} holds values that are not finite",
                "the file is damaged: take an earlier snapshot",
            )
    if layer.rank and layer.alpha is not None and layer.alpha <= 0:
        raise PrepError(f"{layer.name}.alpha is {layer.alpha:g}, not above 0", "the file is damaged or not an adapter")
    if layer.kind.elements(layer.shapes) > LARGEST:
        raise PrepError(
            f"{layer.name} would be a weight of {layer.kind.elements(layer.shapes)} values, larger than any of Stable "
            "Diffusion",
            "the file is damaged or not an adapter for Stable Diffusion",
        )
    return layer
