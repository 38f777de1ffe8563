"""The algorithms by name, and the kinds of layers that files hold. No torch is loaded here."""

from __future__ import annotations

from collections.abc import Mapping

from train.adapters.algorithms.algorithm import Algorithm, LayerKind
from train.adapters.algorithms.boft import BOFT
from train.adapters.algorithms.dylora import DYLORA
from train.adapters.algorithms.full import FULL
from train.adapters.algorithms.glora import GLORA
from train.adapters.algorithms.ia3 import IA3
from train.adapters.algorithms.keys import Shapes
from train.adapters.algorithms.loha import LOHA
from train.adapters.algorithms.lokr import LOKR
from train.adapters.algorithms.lora import LOCON, LORA
from train.adapters.algorithms.norm import NORM
from train.adapters.algorithms.oft import OFT

ALGORITHMS: Mapping[str, Algorithm] = {
    algorithm.name: algorithm for algorithm in (LORA, LOCON, LOHA, LOKR, GLORA, DYLORA, FULL, NORM, OFT, BOFT, IA3)
}
KINDS: Mapping[str, LayerKind] = {algorithm.stored.name: algorithm.stored for algorithm in ALGORITHMS.values()}
FOR_NORMS = NORM
"""What trains normalization layers beside any other algorithm."""
SUFFIXES = frozenset(key for kind in KINDS.values() for key in kind.keys.all)
"""Every key that a layer in a file may hold."""


def kind_of(shapes: Shapes) -> LayerKind | None:
    """The kind that a layer's keys show, None where they show none or several."""
    found = [kind for kind in KINDS.values() if kind.keys.recognized(shapes)]
    return found[0] if len(found) == 1 else None
