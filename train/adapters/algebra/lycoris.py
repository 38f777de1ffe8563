"""Modules of lycoris-lora, of which the initial weights and the keys are used.

Not their forward passes, dropouts, merging or scales: those drop small changes in half precision, leave the wrong things
out, or count alpha / rank twice.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Iterator
from contextlib import contextmanager
from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from torch import Tensor, nn

    from train.adapters.config import LayerConfig

os.environ.setdefault("LYCORIS_KERNEL_BACKEND", "torch")


def lycoris_module(kind: str, name: str, layer: nn.Module, config: LayerConfig, **more: Any) -> nn.Module:
    """The library's module for a layer; its weights are drawn from torch's global generator.

    Args:
        kind: file and class within `lycoris.modules`, with a dot between.
        more: what its class takes beside rank, alpha and what is common to all.
    Raises:
        ValueError: it cannot divide the layer.
    """
    file, _, of = kind.partition(".")
    made = getattr(import_module(f"lycoris.modules.{file}"), of)
    if config.dora:
        more |= {"weight_decompose": True, "wd_on_out": False}
    alpha = float(config.stored_alpha)
    with quiet():
        module: nn.Module = made(name, layer, lora_dim=config.rank, alpha=alpha, use_tucker=config.tucker, **more)
    return module


def weights_of(module: nn.Module) -> dict[str, Tensor]:
    """Key → float32 tensor, of its own memory; what is no fraction stays as it is."""
    tensors = {key: value.detach().clone() for key, value in module.state_dict().items()}
    return {key: value.float().contiguous() if value.is_floating_point() else value for key, value in tensors.items()}


@contextmanager
def quiet() -> Iterator[None]:
    """Without the library's remarks on how it divides each layer, which it would print. Setting a level empties the caches of all
    loggers, so that a block around many layers costs less than one around each."""
    from lycoris.logging import logger as log

    level = log.level
    if level >= logging.ERROR:
        yield
        return
    log.setLevel(logging.ERROR)
    try:
        yield
    finally:
        log.setLevel(level)
