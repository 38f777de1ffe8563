"""The algorithms by name, the contract they keep, and how a file's keys tell them."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from typing import Protocol

from torch import Tensor

from train.adapters.algorithms.boft import Boft
from train.adapters.algorithms.dylora import Dylora
from train.adapters.algorithms.full import Full
from train.adapters.algorithms.glora import Glora
from train.adapters.algorithms.ia3 import Ia3
from train.adapters.algorithms.loha import Loha
from train.adapters.algorithms.lokr import Lokr
from train.adapters.algorithms.lora import Lora
from train.adapters.algorithms.norm import Norm
from train.adapters.algorithms.oft import Oft
from train.adapters.inject.base_layer import BaseLayer
from train.adapters.inject.dropout import Dropout


class Algorithm(Protocol):
    """A module whose state_dict is what its layer's part of the file holds. Those that scale_weight_norms can hold also
    have `norm(site)`, a scalar, and `shrink(ratio)`, which multiplies that norm."""

    def output(self, site: BaseLayer, x: Tensor, strength: float, drops: Dropout) -> Tensor:
        """The layer's output with `strength` of the change."""

    def delta(self, site: BaseLayer) -> tuple[Tensor, Tensor | None]:
        """What strength 1 adds to the layer's weight, and to its bias if anything: float32 of their shapes."""


KINDS: Mapping[str, Callable[[Mapping[str, Tensor]], Algorithm]] = {
    "lora": Lora,
    "locon": Lora,
    "loha": Loha,
    "lokr": Lokr,
    "glora": Glora,
    "full": Full,
    "norm": Norm,
    "oft": Oft,
    "ia3": Ia3,
    "dylora": Dylora,
    "boft": Boft,
}
MARKS = (
    ("lora_up.weight", "lora"),
    ("hada_w1_a", "loha"),
    ("lokr_w1", "lokr"),
    ("lokr_w1_a", "lokr"),
    ("a1.weight", "glora"),
    ("diff", "full"),
    ("w_norm", "norm"),
    ("oft_blocks", "oft"),
    ("on_input", "ia3"),
)
"""(a key only that algorithm has, the algorithm)."""


def kind_of(tensors: Mapping[str, Tensor] | Mapping[str, Collection[int]]) -> str | None:
    """The algorithm of one layer's keys; None where none is known. Values are only looked at to tell OFT from BOFT."""
    found = next((algorithm for mark, algorithm in MARKS if mark in tensors), None)
    if found == "oft" and len(getattr(tensors["oft_blocks"], "shape", tensors["oft_blocks"])) == 4:
        return "boft"
    return found
