"""How many numbers an adapter trains on a layer, told from the layer's shape; no torch here."""

from __future__ import annotations

import math


def trained_numbers(
    algorithm: str,
    layer: tuple[int, ...],
    rank: int,
    *,
    factor: int = -1,
    decompose_both: bool = False,
    full_matrix: bool = False,
    tucker: bool = False,
    dora: bool = False,
) -> int:
    """The numbers trained on a weight (out, in) or (out, in, k, k), biases of `full` left out; `ia3` counts outputs."""
    out, inner, kernel = layer[0], layer[1], math.prod(layer[2:])
    tucker = tucker and kernel > 1
    chain = rank * (inner + out) + rank**2 * kernel if tucker else rank * (inner * kernel + out)
    magnitude = inner if dora else 0
    match algorithm:
        case "lora" | "locon" | "dylora":
            return chain + magnitude
        case "loha":
            return 2 * chain + magnitude
        case "lokr":
            return _kronecker(out, inner, kernel, rank, factor, decompose_both, full_matrix, tucker) + magnitude
        case "glora":
            return rank * (2 * inner + inner * kernel + out)
        case "full":
            return math.prod(layer)
        case "oft":
            return out * sides(out, rank)[0]
        case "boft":
            return out * math.prod(butterfly(out, rank))
        case "ia3":
            return out
    raise AssertionError(f"{algorithm} trains no weight of a layer")


def scaled(
    algorithm: str,
    layer: tuple[int, ...],
    rank: int,
    *,
    factor: int = -1,
    decompose_both: bool = False,
    full_matrix: bool = False,
) -> bool:
    """Whether what is added to a weight is multiplied with alpha / rank: not where LoKr leaves both factors whole."""
    if algorithm == "lokr":
        small, large = _low_ranks(layer[0], layer[1], rank, factor, decompose_both, full_matrix)
        return small or large
    return algorithm in ("lora", "locon", "loha", "glora", "dylora")


def _low_ranks(out: int, inner: int, rank: int, factor: int, both: bool, full: bool) -> tuple[bool, bool]:
    """Whether LoKr gives its small factor a low rank, and its large one."""
    (a, b), (c, d) = sides(out, factor), sides(inner, factor)
    return both and not full and rank < max(a, c) / 2, not full and rank < max(b, d) / 2


def _kronecker(out: int, inner: int, kernel: int, rank: int, factor: int, both: bool, full: bool, tucker: bool) -> int:
    (a, b), (c, d) = sides(out, factor), sides(inner, factor)
    low_small, low_large = _low_ranks(out, inner, rank, factor, both, full)
    small = rank * (a + c) if low_small else a * c
    if not low_large:
        return small + b * d * kernel
    return small + (rank * (b + d) + rank**2 * kernel if tucker else rank * (b + d * kernel))


def sides(dimension: int, factor: int) -> tuple[int, int]:
    """A dimension as a product, the smaller factor first: `factor` where it divides it, else the largest below that does;
    with -1 the two nearest each other. sides(360, 16) is (15, 24); sides(250, 8) is (5, 50)."""
    if factor > 0 and dimension % factor == 0:
        small = min(factor, dimension // factor)
        return small, dimension // small
    root = math.isqrt(dimension)
    most = root if factor < 0 else max(min(factor, root), 1)
    small = next(number for number in range(most, 0, -1) if dimension % number == 0)
    return small, dimension // small


def butterfly(dimension: int, most: int) -> tuple[int, int]:
    """(stages, size of a block) of BOFT: the largest even block up to `most` whose count is a power of 2; (0, 0) if none
    is."""
    sizes = [size for size in range(2, most + 1, 2) if dimension % size == 0 and (dimension // size).bit_count() == 1]
    if not sizes:
        return 0, 0
    return (dimension // sizes[-1] - 1).bit_count() + 1, sizes[-1]
