"""One layer of an adapter file: which algorithm it is of, its rank and scale, and the keys it must hold."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import torch
from torch import Tensor

from pipeline.core.errors import PrepError

REQUIRED: Mapping[str, tuple[str, ...]] = {
    "lora": ("lora_down.weight", "lora_up.weight"),
    "loha": ("hada_w1_a", "hada_w1_b", "hada_w2_a", "hada_w2_b"),
    "glora": ("a1.weight", "a2.weight", "b1.weight", "b2.weight"),
    "full": ("diff",),
    "oft": ("oft_blocks",),
    "ia3": ("weight", "on_input"),
    "norm": (),
    "lokr": (),
}
OPTIONAL: Mapping[str, tuple[str, ...]] = {
    "lora": ("lora_mid.weight", "dora_scale", "alpha"),
    "loha": ("hada_t1", "hada_t2", "dora_scale", "alpha"),
    "lokr": (
        *("lokr_w1", "lokr_w1_a", "lokr_w1_b", "lokr_w2", "lokr_w2_a", "lokr_w2_b", "lokr_t2"),
        *("dora_scale", "alpha"),
    ),
    "glora": ("alpha",),
    "full": ("diff_b", "alpha"),
    "oft": ("rescale", "alpha"),
    "ia3": ("alpha",),
    "norm": ("w_norm", "b_norm", "alpha"),
}
TELLING = {
    "lora_down.weight": "lora",
    "lora_up.weight": "lora",
    "hada_w1_a": "loha",
    "lokr_w1": "lokr",
    "lokr_w1_a": "lokr",
    "lokr_w2": "lokr",
    "lokr_w2_a": "lokr",
    "a1.weight": "glora",
    "diff": "full",
    "diff_b": "full",
    "oft_blocks": "oft",
    "on_input": "ia3",
    "w_norm": "norm",
    "b_norm": "norm",
}
SUFFIXES = frozenset(suffix for table in (REQUIRED, OPTIONAL) for suffixes in table.values() for suffix in suffixes)


@dataclass(frozen=True, slots=True)
class Layer:
    """The weights of one layer in float32, by the suffix LyCORIS gives them (`lora_down.weight`, `hada_w1_a`, `alpha` …).

    `algorithm` is lora, loha, lokr, glora, full, oft, boft, ia3 or norm; locon is lora on convolutions.
    """

    name: str
    algorithm: str
    tensors: Mapping[str, Tensor]

    def get(self, suffix: str) -> Tensor | None:
        return self.tensors.get(suffix)

    @property
    def rank(self) -> int | None:
        return rank_of(self.algorithm, {suffix: tuple(tensor.shape) for suffix, tensor in self.tensors.items()})

    @property
    def alpha(self) -> float | None:
        alpha = self.get("alpha")
        return None if alpha is None else float(alpha)

    @property
    def scale(self) -> float:
        """What the product of the factors is multiplied with: alpha / rank, 1 where either is missing."""
        return 1.0 if self.alpha is None or not self.rank else self.alpha / self.rank

    @property
    def tucker(self) -> bool:
        return any(suffix in self.tensors for suffix in ("lora_mid.weight", "hada_t1", "lokr_t2"))

    @property
    def dora(self) -> str | None:
        """Which axis a DoRA magnitude runs along: `input`, `output`, or None without one."""
        scale = self.get("dora_scale")
        return None if scale is None else dora_axis(tuple(scale.shape))


def dora_axis(shape: tuple[int, ...]) -> str:
    return "input" if len(shape) > 1 and shape[0] == 1 else "output"


def algorithm_of(shapes: Mapping[str, tuple[int, ...]]) -> str | None:
    """The algorithm that a layer's suffixes tell, None where they tell none or several."""
    told = {TELLING[suffix] for suffix in shapes if suffix in TELLING}
    if len(told) != 1:
        return None
    (algorithm,) = told
    if algorithm == "oft":
        return {3: "oft", 4: "boft"}.get(len(shapes.get("oft_blocks", ())))
    return algorithm


def rank_of(algorithm: str, shapes: Mapping[str, tuple[int, ...]]) -> int | None:
    """The rank that alpha is divided by, None for algorithms without one and LoKr of two whole factors."""
    wanted = {
        "lora": (("lora_down.weight", 0),),
        "loha": (("hada_w1_b", 0),),
        "lokr": (("lokr_w1_b", 0), ("lokr_w2_b", 0)),
        "glora": (("a1.weight", 1),),
    }
    for suffix, axis in wanted.get(algorithm, ()):
        if suffix in shapes and len(shapes[suffix]) > axis:
            return shapes[suffix][axis]
    return None


def faults(name: str, algorithm: str, shapes: Mapping[str, tuple[int, ...]]) -> list[str]:
    """What is wrong with a layer's keys and shapes: factors that are missing, left over, or do not fit together."""
    kind = "oft" if algorithm == "boft" else algorithm
    missing = [suffix for suffix in REQUIRED[kind] if suffix not in shapes]
    if kind == "lokr":
        missing += [
            half
            for half in ("lokr_w1", "lokr_w2")
            if half not in shapes and not {f"{half}_a", f"{half}_b"} <= shapes.keys()
        ]
    found = [f"{name}: {suffix} is missing" for suffix in missing]
    found += [
        f"{name}: {suffix} does not belong to {algorithm}"
        for suffix in shapes
        if suffix not in (*REQUIRED[kind], *OPTIONAL[kind])
    ]
    found += [f"{name}: {suffix} is empty" for suffix, shape in shapes.items() if 0 in shape]
    if len(shapes.get("alpha", ())) > 1 or shapes.get("alpha", ()) not in ((), (1,)):
        found.append(f"{name}: alpha is no single number but of shape {list(shapes['alpha'])}")
    return found or [f"{name}: {words}" for words in _misfits(algorithm, shapes)]


def _misfits(algorithm: str, shapes: Mapping[str, tuple[int, ...]]) -> Iterable[str]:
    """Pairs of axes that must be equal for the products to be."""
    pairs = {
        "lora": [("lora_up.weight", 1, "lora_down.weight", 0)],
        "loha": [("hada_w1_a", 1, "hada_w1_b", 0), ("hada_w2_a", 1, "hada_w2_b", 0), ("hada_w1_b", 1, "hada_w2_b", 1)],
        "lokr": [("lokr_w1_a", 1, "lokr_w1_b", 0), ("lokr_w2_a", 1, "lokr_w2_b", 0)],
        "glora": [("b1.weight", 1, "b2.weight", 0), ("a1.weight", 1, "a2.weight", 0)],
        "oft": [("oft_blocks", 1, "oft_blocks", 2)],
        "boft": [("oft_blocks", 2, "oft_blocks", 3)],
    }.get(algorithm, [])
    if "lora_mid.weight" in shapes:
        pairs = [("lora_up.weight", 1, "lora_mid.weight", 0), ("lora_mid.weight", 1, "lora_down.weight", 0)]
    if "hada_t1" in shapes:
        pairs = [(f"hada_w{n}_{half}", 0, f"hada_t{n}", axis) for n in (1, 2) for axis, half in enumerate("ab")]
    if "lokr_t2" in shapes:
        pairs = [("lokr_w2_a", 0, "lokr_t2", 0), ("lokr_w2_b", 0, "lokr_t2", 1), ("lokr_w1_a", 1, "lokr_w1_b", 0)]
    for one, axis, other, along in pairs:
        if one in shapes and other in shapes:
            left, right = shapes[one], shapes[other]
            if len(left) <= axis or len(right) <= along or left[axis] != right[along]:
                yield f"{one} {list(left)} does not fit {other} {list(right)}"


def checked(layer: Layer) -> Layer:
    """The layer, if its numbers can be computed with.

    Raises:
        PrepError: a weight is not finite, or alpha is not above 0.
    """
    for suffix, tensor in layer.tensors.items():
        if not bool(torch.isfinite(tensor).all()):
            raise PrepError(
                f"{layer.name}.{suffix} holds values that are not finite",
                "the file is damaged: take an earlier snapshot",
            )
    if layer.rank and layer.alpha is not None and layer.alpha <= 0:
        raise PrepError(f"{layer.name}.alpha is {layer.alpha:g}, not above 0", "the file is damaged or not an adapter")
    return layer
