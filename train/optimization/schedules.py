"""How the learning rate moves over a run, as pure functions of the update: no torch, nothing to save or restore."""

from __future__ import annotations

import math

DECAYING = ("linear", "cosine", "cosine_with_restarts", "polynomial")
"""The schedules that bring the rate down; the others hold it."""


def warmup_updates(steps: int, share: float, updates: int) -> int:
    """Updates the warm-up takes: as many as are given, or the share of the whole run, rounded."""
    return steps or round(share * updates)


def rate_factor(
    update: int,
    updates: int,
    schedule: str,
    *,
    warmup: int = 0,
    num_cycles: int = 1,
    power: float = 1.0,
    min_lr_ratio: float = 0.0,
) -> float:
    """What the learning rate is multiplied with at one update.

    It rises in equal steps over the warm-up and is full at its last update. From there a decaying schedule goes from 1
    to `min_lr_ratio`: linear, half a cosine, `num_cycles` halves of one, each from the top (Loshchilov & Hutter 2017,
    arXiv:1608.03983), or (1 - progress) ** power.

    Args:
        update: counted from 0.
        updates: of the whole run.
    """
    if update < warmup:
        return (update + 1) / warmup
    if schedule not in DECAYING:
        return 1.0
    progress = (update - warmup) / max(1, updates - warmup)
    if schedule == "linear":
        height = 1 - progress
    elif schedule == "polynomial":
        height = (1 - progress) ** power
    else:
        turn = progress * num_cycles % 1.0 if schedule == "cosine_with_restarts" else progress
        height = (1 + math.cos(math.pi * turn)) / 2
    return min_lr_ratio + (1 - min_lr_ratio) * height
