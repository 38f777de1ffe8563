"""Round-robin assignment of user-supplied regularization images to training images that are shown unequally often.

Every exposure of a training image is a turn and takes one regularization image. Turns are ordered in time and the
regularization images handed out in passes over all of them, so that at any moment none was used more than once oftener
than another. In a pass the widest goes to the widest training image, so that little is cropped; ties are drawn.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

TURNS = 16
"""How many regularization images a training image gets on average, as far as there is room; beyond, they repeat in the
same order."""


def turns_wanted(shares: Sequence[float], items: int, room: int) -> int:
    """How many turns to assign: a multiple of the regularization images, so that none is used oftener than another, and
    of the multiples up to twice the first the one by which whole turns are nearest to the shares.

    Args:
        shares: how often each training image is shown, all above 0.
        items: how many regularization images there are.
        room: the most turns, if it can be helped; every training image gets one and every regularization image is used.
    """
    takers = len(shares)
    if items == 1:
        return takers
    least = -(-max(items, takers, min(TURNS * takers, room)) // items)
    exact = np.unique(np.array(shares, float)) / sum(shares) * items
    numbers = np.arange(least, 2 * least + 1)[: max(1, room // items)]
    turns = np.outer(numbers, exact)
    bends = np.abs(np.maximum(1, np.rint(turns)) / turns - 1).max(1)
    return int(numbers[bends.argmin()]) * items


def assign_round_robin(
    shares: Sequence[float], widths: Sequence[float], items: Sequence[float], turns: int, draw: np.random.Generator
) -> list[list[int]]:
    """Each training image's regularization images, by number, in the order in which they are shown.

    Args:
        shares: how often each training image is shown, all above 0.
        widths: the training images' aspect ratios, width / height.
        items: the regularization images' aspect ratios.
        turns: how many turns to assign; training images that would get none get one beyond.
        draw: decides ties.
    """
    order = _in_time(shares, turns, draw)
    aspects, wide = np.array(items, float), np.array(widths, float)
    assignments: list[list[int]] = [[] for _ in shares]
    for start in range(0, len(order), len(items)):
        takers = order[start : start + len(items)]
        pool = draw.permutation(len(items))[: len(takers)]
        pool = pool[np.argsort(aspects[pool], kind="stable")]
        for taker, item in zip(takers[np.argsort(wide[takers], kind="stable")], pool, strict=True):
            assignments[taker].append(int(item))
    return assignments


def _in_time(shares: Sequence[float], turns: int, draw: np.random.Generator) -> NDArray[np.int64]:
    """Which training image each turn is of, one after another: one of share s has turns at 1/2s, 3/2s, 5/2s … (the
    divisors of Sainte-Laguë's method, which gives turns nearest to the shares)."""
    rates = np.array(shares, float)
    most = np.ceil(turns * rates / rates.sum()).astype(np.int64) + 1
    takers = draw.permutation(len(rates))
    owners = np.repeat(takers, most[takers])
    number = np.arange(len(owners)) - np.repeat(np.cumsum(most[takers]) - most[takers], most[takers])
    first = np.argsort((number + 0.5) / rates[owners], kind="stable")
    chosen, rest = first[:turns], first[turns:]
    late = rest[number[rest] == 0]
    in_time: NDArray[np.int64] = owners[np.concatenate([chosen, late])]
    return in_time
