"""How much disk a run takes, so that one that would fill it is refused before it begins."""

from __future__ import annotations

from typing import TYPE_CHECKING

from train.plan.memory import STORED

if TYPE_CHECKING:
    from train.options.recipe import Recipe


def space_needed(recipe: Recipe, trained: int, steps: int, epochs: int) -> int:
    """Bytes that the adapter, its snapshots and the training state take at the most; the state twice, as one is whole while
    the next is written.

    Args:
        trained: parameters of the adapter.
        steps: of the whole run.
        epochs: the same in epochs.
    """
    saving = recipe.saving
    by_steps = steps // saving.save_every_steps if saving.save_every_steps else 0
    by_epochs = epochs // saving.save_every_epochs if saving.save_every_epochs else 0
    snapshots = min(by_steps + by_epochs, saving.keep_last + 1 if saving.keep_last else steps)
    file = trained * (4 if saving.save_precision == "fp32" else 2)
    return file * (snapshots + 2) + 2 * STORED * trained
