"""The batches of a run, one after the other over all epochs."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from train.dataset import Example
from train.recipe import Recipe
from train.sampler import epoch_batches, epoch_length


@dataclass(frozen=True, slots=True)
class Batch:
    """What one step trains on: `step` counts from 0 over the whole run, `epoch` from 0."""

    step: int
    epoch: int
    examples: tuple[Example, ...]


def total_steps(recipe: Recipe, examples: Sequence[Example]) -> int:
    """Batches of the whole run: as given, or what the epochs come to."""
    if recipe.steps is not None:
        return recipe.steps
    entries = [example.entry for example in examples]
    return sum(epoch_length(entries, recipe.batch_size, recipe.seed, epoch) for epoch in range(recipe.epochs))


def window(recipe: Recipe, examples: Sequence[Example]) -> int:
    """Batches to an update: as given, or as many as there are buckets ("Tutorial: Lycoris/LoCon Training using Kohya_SS",
    Civitai)."""
    return recipe.accumulate or len({example.entry.bucket for example in examples})


def planned_batches(recipe: Recipe, examples: Sequence[Example], start: int) -> Iterator[Batch]:
    """Every batch of the run from step `start` on; epochs follow each other until the steps are done."""
    by_key = {example.entry.key: example for example in examples}
    entries = [example.entry for example in examples]
    total, step, epoch = total_steps(recipe, examples), 0, 0
    while step < total:
        length = epoch_length(entries, recipe.batch_size, recipe.seed, epoch)
        if step + length > start:
            for keys in epoch_batches(entries, recipe.batch_size, recipe.seed, epoch):
                if start <= step < total:
                    yield Batch(step, epoch, tuple(by_key[key] for key in keys))
                step += 1
        else:
            step += length
        epoch += 1
