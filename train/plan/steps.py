"""What a training run comes to, counted without running it: steps, epochs, and how often each image is shown. No torch
here; epochs are counted by the functions that the run's batches come from."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from pipeline.core.errors import PrepError
from train.data.options import BatchOptions
from train.data.sampler import Counts, SampledImage, epoch_batches, epoch_counts, ever_shown


@dataclass(frozen=True, slots=True, eq=False)
class TrainingSchedule:
    """A run from start to end: `epochs` whole ones and `beyond` steps of the next; `epoch_steps` is the first one's
    length. Of its batches `full` are full and `partial` are not; `exposures` (N,) says how often each image is shown, in
    the order they were given; `ends` has the step at which each whole epoch ends → the epoch, from 1."""

    steps: int
    epochs: int
    beyond: int
    epoch_steps: int
    full: int
    partial: int
    exposures: Counts
    ends: dict[int, int]


def training_schedule(entries: Sequence[SampledImage], options: BatchOptions, seed: int) -> TrainingSchedule:
    """Go over the run's epochs, until so many steps if given, counting batches and exposures.

    Raises:
        PrepError: not a single image is shown.
    """
    if not ever_shown(entries):
        raise PrepError("no image is ever shown: all repeats are 0", "choose others with: prep balance SET --force")
    steps, size = options.steps, options.batch_size
    done = full = partial = first = 0
    ends = dict[int, int]()
    for epoch, counted in enumerate(epoch_counts(entries, size, seed)):
        if (epoch >= options.epochs) if steps is None else (done >= steps):
            break
        first = counted.batches if epoch == 0 else first
        if steps is not None and done + counted.batches > steps:
            batches = epoch_batches(entries, size, seed, epoch)[: steps - done]
            filled = sum(len(batch) == size for batch in batches)
            shown = counted.before + _within(entries, batches)
            beyond, partial = len(batches), partial + len(batches) - filled
            return TrainingSchedule(steps, epoch, beyond, first, full + filled, partial, shown, ends)
        done, full, partial = done + counted.batches, full + counted.full, partial + counted.partial
        ends[done] = epoch + 1
    if not done:
        raise PrepError(
            f"no image is shown in {options.epochs} epochs: all repeats are far below 1", "give more epochs"
        )
    return TrainingSchedule(done, epoch, 0, first, full, partial, counted.before, ends)


def _within(entries: Sequence[SampledImage], batches: Sequence[Sequence[str]]) -> Counts:
    """How often each image is in these batches."""
    place = {entry.key: index for index, entry in enumerate(entries)}
    held = np.array([place[key] for batch in batches for key in batch], np.int64)
    return np.bincount(held, minlength=len(entries))
