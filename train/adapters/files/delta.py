"""What a layer of an adapter adds to a weight, as LyCORIS defines it (Yeh et al. 2023, arXiv:2309.14859), in float32.

Weights are (out, in) or (out, in, k, k). O, I, K stand for out, in and the kernel's size, R for the rank.
"""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor

from pipeline.core.errors import PrepError
from train.adapters.algebra.dora import decomposed_along
from train.adapters.algebra.factors import Factors
from train.adapters.files.layer import Layer


def difference(layer: Layer, weight: Tensor | None = None, shape: Sequence[int] | None = None) -> Tensor:
    """The difference at strength 1, in the base weight's shape, or `shape`, or as a matrix (O, I·K) where none is given.

    Raises:
        PrepError: the algorithm works on the base's weights and none is given, or the shapes do not fit.
    """
    if weight is None and layer.needs_base:
        raise PrepError(
            f"{layer.name}: what {described(layer)} does depends on the weights it acts on",
            "give the model it was trained on with --base",
        )
    shape = tuple(weight.shape) if weight is not None else None if shape is None else tuple(shape)
    try:
        found = layer.weights.delta(None if weight is None else weight.float())
        found = found if shape is None else found.reshape(shape)
    except (RuntimeError, ValueError) as error:
        raise misfit(layer, shape) from error
    if layer.dora is None or weight is None:
        return found
    return decomposed_along(layer.dora, weight.float(), found, layer.tensors["dora_scale"])


def misfit(layer: Layer, shape: Sequence[int] | None) -> PrepError:
    return PrepError(
        f"{layer.name} does not fit the model: its weight there is {list(shape or ())}",
        "take a model of the kind the adapter was trained on (SD 1.x, 2.x and SDXL differ)",
    )


def described(layer: Layer) -> str:
    return f"DoRA along the {layer.dora} axis" if layer.dora else layer.algorithm


def exact_factors(layer: Layer, weight: Tensor | None = None) -> Factors | None:
    """Factors of the very same difference, None where the algorithm has none; some need the base's weight. With DoRA there
    are none."""
    return None if layer.dora is not None else layer.weights.factors(weight)
