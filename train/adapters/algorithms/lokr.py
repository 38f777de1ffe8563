"""LoKr: ΔW = w1 ⊗ w2, a Kronecker product of a small matrix and a large one, each whole or of low rank (KronA, Edalati et
al. 2022, arXiv:2212.10650; LyCORIS, Yeh et al. 2023, arXiv:2309.14859)."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Collection, Iterator, Mapping
from typing import TYPE_CHECKING, Any

from train.adapters.algebra.dense import dense_output
from train.adapters.algebra.division import sides
from train.adapters.algebra.dora import decomposed, dora_incompatibility, magnitude_axis
from train.adapters.algebra.factors import Factors
from train.adapters.algebra.lazy_torch import torch
from train.adapters.algebra.lycoris import lycoris_module, weights_of
from train.adapters.algebra.norms import core_norm, norm_of, product_norm
from train.adapters.algebra.products import core, in_full
from train.adapters.algorithms import options
from train.adapters.algorithms.algorithm import Algorithm, Conflict, LayerKind, Tensors
from train.adapters.algorithms.keys import Keys, Shape, Shapes, side
from train.adapters.config import AdapterConfig, LayerConfig

if TYPE_CHECKING:
    from torch import Tensor, nn

    from train.adapters.inject.base_layer import BaseLayer
    from train.adapters.inject.dropout import Dropout

NAME = "lokr"
W1, W1_A, W1_B = "lokr_w1", "lokr_w1_a", "lokr_w1_b"
W2, W2_A, W2_B, T2 = "lokr_w2", "lokr_w2_a", "lokr_w2_b", "lokr_t2"
FACTORS = (W1, W1_A, W1_B, W2, W2_A, W2_B, T2)
BUILDING, MOVING = 300, 250
"""What building one number of ΔW and its gradients costs, and moving one of the parts, in multiplications of a matrix
product; measured on a CPU."""


class Lokr:
    """w1 (a, c) and w2 (b, d, k, k) for a weight (a·b, c·d, k, k), or w1_a (a, r), w1_b (r, c) and w2_a (b, r),
    w2_b (r, d·k·k); Tucker-decomposed w2_a (r, b), w2_b (r, d) and the core t2 (r, r, k, k). Either a
    factor or its pair is there."""

    def __init__(self, tensors: Tensors) -> None:
        self.tensors = tensors
        low = tensors.get(W1_B) if W2 in tensors else tensors[W2_B]
        self.rank = 0 if low is None else low.shape[0]
        self.scale = float(tensors["alpha"]) / self.rank if self.rank and "alpha" in tensors else 1.0

    @staticmethod
    def parameters(weight: Shape, bias: bool, config: LayerConfig) -> int:
        kernel, rank = math.prod(weight[2:]), config.rank
        (a, b), (c, d) = sides(weight[0], config.factor), sides(weight[1], config.factor)
        low_small, low_large = _low_ranks(weight, config)
        small = rank * (a + c) if low_small else a * c
        if not low_large:
            large = b * d * kernel
        elif config.tucker and kernel > 1:
            large = rank * (b + d) + rank**2 * kernel
        else:
            large = rank * (b + d * kernel)
        return small + large + (weight[1] if config.dora else 0)

    @staticmethod
    def scaled(weight: Shape, config: LayerConfig) -> bool:
        """Not where both factors are left whole."""
        return any(_low_ranks(weight, config))

    @staticmethod
    def library_module(name: str, layer: nn.Module, config: LayerConfig) -> nn.Module:
        own = {
            "factor": config.factor,
            "decompose_both": config.decompose_both,
            "full_matrix": config.full_matrix,
        }
        return lycoris_module("lokr.LokrModule", name, layer, config, **own)

    @classmethod
    def initial_weights(cls, name: str, layer: nn.Module, config: LayerConfig) -> dict[str, Tensor]:
        return weights_of(cls.library_module(name, layer, config))

    @staticmethod
    def constants(tensors: Tensors) -> dict[str, Tensor]:
        alpha = tensors.get("alpha")
        return {"alpha": torch.tensor(float(Lokr(tensors).rank or 1)) if alpha is None else alpha}

    def output(self, base_layer: BaseLayer, x: Tensor, strength: float, dropout: Dropout) -> Tensor:
        magnitude = self.tensors.get("dora_scale")
        if magnitude is not None or not self._chained(base_layer, x):
            delta = kronecker(self._small(self.scale, dropout), self._large(base_layer, dropout))
            delta = delta if magnitude is None else decomposed(base_layer.whole(), delta, magnitude)
            return dense_output(base_layer, x, delta, strength, dropout)
        small, large = self._small(self.scale * strength, dropout), self._large(base_layer, dropout)
        return base_layer.plus(x, dropout.neurons(self._chain(base_layer, x, small, large)))

    def _chained(self, base_layer: BaseLayer, x: Tensor) -> bool:
        """Whether products with the two factors, and moving the parts about, are less than building ΔW and the one more
        product with it, or three in half precision."""
        out, inner = base_layer.shape[0], math.prod(base_layer.shape[1:])
        first = self.tensors.get(W1)
        rows = self.tensors[W1_A].shape[0] if first is None else first.shape[0]
        count = self.tensors[W1_B].shape[1] if first is None else first.shape[1]
        positions, parts = x.numel() // base_layer.shape[1], count * out // rows
        chain = 3 * (inner * out // rows + parts * rows) + MOVING * (parts + out)
        dense = positions * (1 if base_layer.exact(x) else 3) + BUILDING
        return positions * chain < dense * out * inner

    def _chain(self, base_layer: BaseLayer, x: Tensor, small: Tensor, large: Tensor) -> Tensor:
        """w2 on each of the c parts of the input, then w1 across them; ΔW is never built."""
        count = small.shape[1]
        if not base_layer.convolution:
            parts = base_layer.apply(x.unflatten(-1, (count, -1)), large)
            return base_layer.pointwise(parts.mT, small).mT.flatten(-2)
        parts = base_layer.apply(x.unflatten(1, (count, -1)).flatten(0, 1), large).unflatten(0, (-1, count))
        mixed = small.to(parts.dtype) @ parts.flatten(2)
        found: Tensor = mixed.unflatten(2, parts.shape[2:]).flatten(1, 2)
        return found

    def _small(self, scale: float, dropout: Dropout) -> Tensor:
        whole = self.tensors.get(W1)
        if whole is not None:
            return scale * whole
        up = self.tensors[W1_A]
        kept = dropout.ranks(up) if W2 in self.tensors else None
        with in_full(up):
            return (up * (scale if kept is None else scale * kept)) @ self.tensors[W1_B]

    def _large(self, base_layer: BaseLayer, dropout: Dropout) -> Tensor:
        whole, middle = self.tensors.get(W2), self.tensors.get(T2)
        if whole is not None:
            return whole
        up = self.tensors[W2_A] if middle is None else self.tensors[W2_A].mT
        kept = dropout.ranks(up)
        up = up if kept is None else up * kept
        if middle is not None:
            return core(middle, up, self.tensors[W2_B])
        with in_full(up):
            large: Tensor = (up @ self.tensors[W2_B]).unflatten(1, (-1, *base_layer.shape[2:]))
            return large

    def norm(self, weight: Tensor | None) -> Tensor:
        first, second, middle = self.tensors.get(W1), self.tensors.get(W2), self.tensors.get(T2)
        one = product_norm(self.tensors[W1_A], self.tensors[W1_B]) if first is None else norm_of(first)
        if second is not None:
            return one * norm_of(second) * self.scale
        up, down = self.tensors[W2_A], self.tensors[W2_B]
        return one * (product_norm(up, down) if middle is None else core_norm(middle, up.mT, down)) * self.scale

    def shrink(self, ratio: Tensor) -> None:
        factors = [factor for key in FACTORS if (factor := self.tensors.get(key)) is not None]
        for factor in factors:
            factor.mul_(ratio ** (1 / len(factors)))

    # --- in files

    def delta(self, weight: Tensor | None) -> Tensor:
        first, second = self.halves()
        return torch.kron(first.reshape(*first.shape, *[1] * (second.dim() - 2)), second) * self.scale

    def halves(self) -> tuple[Tensor, Tensor]:
        """Both factors, rebuilt: (a, c) and (b, d) or (b, d, k, k)."""
        first, second, middle = self.tensors.get(W1), self.tensors.get(W2), self.tensors.get(T2)
        if first is None:
            first = self.tensors[W1_A] @ self.tensors[W1_B]
        if second is None:
            one, other = self.tensors[W2_A], self.tensors[W2_B]
            if middle is None:
                second = (one @ other.flatten(1)).reshape(one.shape[0], *other.shape[1:])
            else:
                second = torch.einsum("mn...,mo,ni->oi...", middle, one, other)
        return first, second.contiguous()

    def factors(self, weight: Tensor | None) -> Factors | None:
        """(A B) ⊗ (C D) = (A ⊗ C)(B ⊗ D), a half that has no factors taken times the identity on its narrower side; None
        where that is no smaller than the difference."""
        first, second = self.halves()
        a, b = _factored(first, self.tensors.get(W1_A), self.tensors.get(W1_B))
        plain = T2 not in self.tensors
        c, d = _factored(
            second.flatten(1), *((self.tensors.get(W2_A), self.tensors.get(W2_B)) if plain else (None, None))
        )
        found = Factors(
            torch.kron(a.contiguous(), c.contiguous()) * self.scale, torch.kron(b.contiguous(), d.contiguous())
        )
        return found if found.smaller else None

    def incompatibility(self, client: str) -> str:
        magnitude = self.tensors.get("dora_scale")
        wrong = dora_incompatibility(client, None if magnitude is None else magnitude_axis(tuple(magnitude.shape)))
        if not wrong and client != "a1111" and T2 in self.tensors:
            return "LoKr with a Tucker core is not applied"
        return wrong


def kronecker(small: Tensor, large: Tensor) -> Tensor:
    """(a, c) ⊗ (b, d, …) → (a·b, c·d, …)."""
    flat = large.reshape(*large.shape[:2], -1)
    whole = small[:, None, :, None, None] * flat[None, :, None, :, :]
    return whole.reshape(small.shape[0] * large.shape[0], small.shape[1] * large.shape[1], *large.shape[2:])


def _factored(half: Tensor, one: Tensor | None, other: Tensor | None) -> tuple[Tensor, Tensor]:
    """A half as its own two factors where they are narrower than it, else as itself times the identity."""
    rows, columns = half.shape
    if one is not None and other is not None and one.shape[1] < min(rows, columns):
        return one, other.flatten(1)
    return (torch.eye(rows), half) if rows <= columns else (half, torch.eye(columns))


def _low_ranks(weight: Shape, config: LayerConfig) -> tuple[bool, bool]:
    """Whether the small factor is given a low rank, and the large one."""
    (a, b), (c, d) = sides(weight[0], config.factor), sides(weight[1], config.factor)
    small = config.decompose_both and not config.full_matrix and config.rank < max(a, c) / 2
    return small, not config.full_matrix and config.rank < max(b, d) / 2


def _rebuilt(tensors: Tensors) -> dict[str, Tensor] | None:
    """Without a Tucker core: both halves whole, the scale in the second."""
    magnitude = tensors.get("dora_scale")
    if T2 not in tensors or (magnitude is not None and magnitude_axis(tuple(magnitude.shape)) == "output"):
        return None
    layer = Lokr(tensors)
    first, second = layer.halves()
    found = {W1: first, W2: second * layer.scale, "alpha": torch.tensor(1.0)}
    return found if magnitude is None else found | {"dora_scale": magnitude}


def _elements(shapes: Shapes) -> int:
    small = math.prod(shapes[W1]) if W1 in shapes else side(shapes, W1_A) * side(shapes, W1_B, 1)
    if W2 in shapes:
        return small * math.prod(shapes[W2])
    if T2 in shapes:
        return small * side(shapes, W2_A, 1) * side(shapes, W2_B, 1) * math.prod(shapes[T2][2:])
    return small * side(shapes, W2_A) * math.prod(shapes.get(W2_B, ())[1:])


def _inputs(shapes: Shapes) -> int:
    return (side(shapes, W1, 1) or side(shapes, W1_B, 1)) * (side(shapes, W2, 1) or side(shapes, W2_B, 1))


def _conflicts(config: AdapterConfig) -> Iterator[Conflict]:
    for option in ("decompose_both", "tucker", "rank_dropout", "rank_stabilized") if config.full_matrix else ():
        if value := getattr(config, option):
            yield (
                f"{option} is {value!r}, but with full_matrix no factor is of low rank",
                f"leave {option} or full_matrix out",
            )


def _rewritten_for(client: str, config: AdapterConfig) -> bool:
    return client == "diffusers" or (config.tucker and client != "a1111")


def _network_args(config: AdapterConfig) -> dict[str, Any]:
    chosen = {option: True for option in ("decompose_both", "full_matrix") if getattr(config, option)}
    return {"factor": config.factor} | chosen


def _detected(layers: Collection[Shapes], metadata: Mapping[str, str]) -> dict[str, Any]:
    return {
        "factor": _factor(layers),
        "decompose_both": any(W1_A in shapes for shapes in layers),
        "full_matrix": all({W1, W2} <= shapes.keys() for shapes in layers),
    }


def _factor(layers: Collection[Shapes]) -> int:
    """The side that all small factors share, or -1 where each layer has its own most square one."""
    found: Counter[int] = Counter()
    for shapes in layers:
        if W1 in shapes:
            found.update(set(shapes[W1]))
        elif W1_A in shapes:
            found.update({side(shapes, W1_A), side(shapes, W1_B, 1)})
    factor, count = found.most_common(1)[0] if found else (-1, 0)
    return factor if count == len(layers) else -1


KEYS = Keys(
    optional=(*FACTORS, "dora_scale", "alpha"),
    halves=((W1, (W1_A, W1_B)), (W2, (W2_A, W2_B))),
    marks=(W1, W1_A, W2, W2_A),
    core=(T2,),
    rank=((W1_B, 0), (W2_B, 0)),
    pairs=((W1_A, 1, W1_B, 0), (W2_A, 1, W2_B, 0)),
    core_pairs=((W2_A, 0, T2, 0), (W2_B, 0, T2, 1), (W1_A, 1, W1_B, 0)),
)
LAYERS = LayerKind(name=NAME, layer=Lokr, keys=KEYS, elements=_elements, inputs=_inputs, rebuilt=_rebuilt)
LOKR = Algorithm(
    name=NAME,
    lycoris_name=NAME,
    trained=Lokr,
    stored=LAYERS,
    takes=options.LOW_RANK | {"factor", "decompose_both", "full_matrix", "dora", "tucker", "rank_dropout"},
    learning_rate=2e-4,  # LoHa's, as the LyCORIS guidelines compare the two under the same settings
    conflicts=_conflicts,
    rewritten_for=_rewritten_for,
    network_args=_network_args,
    detected=_detected,
)
