"""What a training run comes to, counted without running it: steps, epochs, and how often each image is shown. No torch
here, and every epoch is counted for all images at once; `train/sampler.py` says the same of one image to be read."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pipeline.core.errors import PrepError
from train.data.sampler import Counts, Exposures, SampledImage, epoch_batches, epoch_length


@dataclass(frozen=True, slots=True, eq=False)
class TrainingSchedule:
    """A run from start to end: `epochs` whole ones and `beyond` steps of the next; `epoch_steps` is the first one's
    length. `shown` (N,) says how often each image is shown, in the order they were given."""

    steps: int
    epochs: int
    beyond: int
    epoch_steps: int
    full: int
    short: int
    shown: Counts


def course(
    entries: Sequence[SampledImage], batch_size: int, seed: int, epochs: int, steps: int | None
) -> TrainingSchedule:
    """Go over the run's epochs, until so many steps if given, counting batches and exposures.

    Raises:
        PrepError: not a single image is shown.
    """
    shares = Exposures(entries, seed)
    if not shares.any():
        raise PrepError("no image is ever shown: all repeats are 0", "choose others with: prep balance SET --force")
    sizes = {size: place for place, size in enumerate(dict.fromkeys(entry.bucket for entry in entries))}
    bucket = np.array([sizes[entry.bucket] for entry in entries])
    done = full = short = epoch = first = 0
    before = np.zeros(len(entries), np.int64)
    while (steps is None and epoch < epochs) or (steps is not None and done < steps):
        after = shares.until(epoch + 1)
        whole, rest = np.divmod(_per_bucket(bucket, after - before, len(sizes)), batch_size)
        length = int(whole.sum() + np.count_nonzero(rest))
        first = length if epoch == 0 else first
        if steps is not None and done + length > steps:
            batches = epoch_batches(entries, batch_size, seed, epoch)[: steps - done]
            filled = sum(len(batch) == batch_size for batch in batches)
            shown = before + _within(entries, batches)
            return TrainingSchedule(
                steps, epoch, steps - done, first, full + filled, short + len(batches) - filled, shown
            )
        done, epoch, before = done + length, epoch + 1, after
        full, short = full + int(whole.sum()), short + int(np.count_nonzero(rest))
    if not done:
        raise PrepError(f"no image is shown in {epochs} epochs: all repeats are far below 1", "give more epochs")
    return TrainingSchedule(done, epoch, 0, first, full, short, before)


def epoch_ends(entries: Sequence[SampledImage], batch_size: int, seed: int, steps: int) -> dict[int, int]:
    """Step at which an epoch ends → the epoch, from 1, for all that end within so many steps."""
    ends, done, epoch = dict[int, int](), 0, 0
    while done < steps:
        done += epoch_length(entries, batch_size, seed, epoch)
        epoch += 1
        if done <= steps:
            ends[done] = epoch
    return ends


def _per_bucket(bucket: NDArray[np.int64], counts: Counts, buckets: int) -> Counts:
    return np.bincount(bucket, weights=counts, minlength=buckets).astype(np.int64)


def _within(entries: Sequence[SampledImage], batches: Sequence[Sequence[str]]) -> Counts:
    """How often each image is in these batches."""
    place = {entry.key: index for index, entry in enumerate(entries)}
    held = np.array([place[key] for batch in batches for key in batch], np.int64)
    return np.bincount(held, minlength=len(entries))
