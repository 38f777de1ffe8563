"""First weights of a layer's adapter, drawn and laid out by the modules of lycoris-lora; the one file that reads it.

Its modules' initialisation and keys are used, not their forward passes, dropouts, merging or scales: those drop small
changes in half precision, leave the wrong things out, or count alpha / rank twice.
"""

from __future__ import annotations

import logging
import math
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from pipeline.core.errors import PrepError

os.environ.setdefault("LYCORIS_KERNEL_BACKEND", "torch")


@dataclass(frozen=True, slots=True, kw_only=True)
class Start:
    """What one layer's adapter is drawn with; `on_input` is which side (IA)³ scales."""

    rank: int = 1
    alpha: float = 1.0
    factor: int = -1
    decompose_both: bool = False
    full_matrix: bool = False
    dora: bool = False
    rank_stabilized: bool = False
    tucker: bool = False
    on_input: bool = False


def initial_weights(algorithm: str, name: str, layer: nn.Module, start: Start) -> dict[str, Tensor]:
    """Key → float32 tensor, with which the layer is what it was; drawn from torch's global generator.

    Raises:
        PrepError: the algorithm cannot divide the layer's outputs.
    """
    if algorithm == "norm":
        return _norm(layer)
    if algorithm == "full":
        return _full(layer)
    try:
        with _quiet():
            module = _module(algorithm, name, layer, start)
    except ValueError as error:
        raise PrepError(
            f"{algorithm} cannot hang on {name}: {error}", "use another rank, or the algorithm oft"
        ) from error
    tensors = {key: value.detach().clone() for key, value in module.state_dict().items()}
    if algorithm in ("oft", "boft"):
        tensors["alpha"] = torch.tensor(0.0)
    return {key: value if key == "on_input" else value.float().contiguous() for key, value in tensors.items()}


def _module(algorithm: str, name: str, layer: nn.Module, start: Start) -> nn.Module:
    from lycoris.modules.boft import ButterflyOFTModule
    from lycoris.modules.diag_oft import DiagOFTModule
    from lycoris.modules.glora import GLoRAModule
    from lycoris.modules.ia3 import IA3Module
    from lycoris.modules.locon import LoConModule
    from lycoris.modules.loha import LohaModule
    from lycoris.modules.lokr import LokrModule

    kinds: Mapping[str, Any] = {
        "lora": LoConModule,
        "locon": LoConModule,
        "dylora": LoConModule,
        "loha": LohaModule,
        "lokr": LokrModule,
        "glora": GLoRAModule,
        "oft": DiagOFTModule,
        "boft": ButterflyOFTModule,
        "ia3": IA3Module,
    }
    # alpha / √rank is what readers make of alpha · √rank, so that is what the file says.
    alpha = start.alpha * math.sqrt(start.rank) if start.rank_stabilized else start.alpha
    more: dict[str, Any] = {}
    if algorithm == "lokr":
        more = {
            "factor": start.factor,
            "decompose_both": start.decompose_both,
            "full_matrix": start.full_matrix,
        }
    if algorithm == "ia3":
        more = {"train_on_input": start.on_input}
    if start.dora:
        more |= {"weight_decompose": True, "wd_on_out": False}
    module: nn.Module = kinds[algorithm](
        name, layer, lora_dim=start.rank, alpha=float(alpha), use_tucker=start.tucker, **more
    )
    return module


def _norm(layer: nn.Module) -> dict[str, Tensor]:
    weight: Tensor = layer.weight  # type: ignore[assignment]
    found = {"w_norm": torch.zeros(weight.shape)}
    return found if layer.bias is None else found | {"b_norm": torch.zeros(weight.shape)}


def _full(layer: nn.Module) -> dict[str, Tensor]:
    weight: Tensor = layer.weight  # type: ignore[assignment]
    found = {"diff": torch.zeros(weight.shape)}
    return found if layer.bias is None else found | {"diff_b": torch.zeros(weight.shape[0])}


@contextmanager
def _quiet() -> Iterator[None]:
    """Without the library's remarks on how it divides each layer, which it would print."""
    from lycoris.logging import logger as log

    level = log.level
    log.setLevel(logging.ERROR)
    try:
        yield
    finally:
        log.setLevel(level)
