"""The first weights of a layer's adapter."""

from __future__ import annotations

from torch import Tensor, nn

from train.adapters.algorithms.algorithm import Algorithm
from train.adapters.config import LayerConfig
from train.adapters.count.planned import not_divisible


def initial_weights(algorithm: Algorithm, name: str, layer: nn.Module, config: LayerConfig) -> dict[str, Tensor]:
    """Key → float32 tensor, with which the layer is what it was; drawn from torch's global generator.

    Raises:
        PrepError: the algorithm cannot divide the layer's outputs.
    """
    try:
        return algorithm.trained.initial_weights(name, layer, config)
    except ValueError as error:
        raise not_divisible(algorithm, name, error) from error
