"""How near two results of the same arithmetic lie: a number of roundings that follows from what was summed.

An operation rounds to half a unit in the last place. A sum of n products, in whatever order a processor and its library take
them, is wrong by n units at the worst and by about sqrt(n) as roundings fall (Higham 2002, Accuracy and Stability of
Numerical Algorithms, section 3.1; Higham & Mary 2019, A New Approach to Probabilistic Rounding Error Analysis). Layers with
norms between them add their errors in the same way: sixteen of them make four times as much of it as one. So 4 sqrt(n)
units of the largest number is the bound here, with n the products that the widest layer sums.

`pytest.approx` as it is, 1e-6 of the number, stands for eight units of float32: a few operations, worked by hand.
"""

from __future__ import annotations

import torch

HALF, BFLOAT16 = 2.0**-11, 2.0**-8
"""The share of a number that is lost at the most when it is stored in float16 (of normal size), in bfloat16."""


def rounding(products: int, precision: torch.dtype = torch.float32) -> float:
    """The share of the largest number by which two sums of so many products may differ."""
    return 4 * products**0.5 * torch.finfo(precision).eps


def near(found: object, expected: object, products: int, scale: float | None = None) -> bool:
    """Whether all numbers, computed in float32, differ by no more than rounding.

    Args:
        products: how many are summed for one number, in the widest layer on the way.
        scale: the largest number that is summed, where the sum is smaller since it cancels; else that of `expected`.
    """
    one, other = (torch.as_tensor(each).detach().double() for each in (found, expected))
    assert one.shape == other.shape
    scale = float(other.abs().max()) if scale is None else scale
    return bool((one - other).abs().max() <= rounding(products) * scale)


LOSS = 2 * rounding(256 * 9) / 240**0.5
"""The share by which a loss of the miniature may differ: its UNet sums 256 channels under a 3x3 kernel at the widest, a
square doubles the share, and in the mean of the 240 numbers of the smallest latent, 4 x 6 x 10, roundings average out."""
