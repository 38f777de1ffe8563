"""How LyCORIS divides a dimension into two factors."""

from __future__ import annotations

import math


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
