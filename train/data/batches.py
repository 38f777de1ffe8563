"""The batches of a run, one after the other over all epochs."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import islice

from train.data.dataset import Example
from train.data.options import BatchOptions
from train.data.progress import Progress
from train.data.sampler import epoch_batches, epoch_counts


@dataclass(frozen=True, slots=True)
class Batch:
    """What one step trains on: `step` counts from 0 over the whole run, `epoch` from 0. `earlier` says how often each
    example was shown before in the run, which decides its regularization image and its view; left out, each is shown
    for the first time."""

    step: int
    epoch: int
    examples: tuple[Example, ...]
    earlier: tuple[int, ...] = ()


def total_steps(options: BatchOptions, seed: int, examples: Sequence[Example]) -> int:
    """Batches of the whole run: as given, or what the epochs come to."""
    if options.steps is not None:
        return options.steps
    epochs = epoch_counts([example.entry for example in examples], options.batch_size, seed)
    return sum(epoch.batches for epoch in islice(epochs, options.epochs))


def progress_after(options: BatchOptions, seed: int, examples: Sequence[Example], step: int, last: bool) -> Progress:
    """Where in the run `step` batches end."""
    epochs = epoch_counts([example.entry for example in examples], options.batch_size, seed)
    done, epoch = 0, 0
    while done < step:
        done += next(epochs).batches
        epoch += 1
    return Progress(step, epoch, step > 0 and done == step, last)


def planned_batches(options: BatchOptions, seed: int, examples: Sequence[Example], start: int) -> Iterator[Batch]:
    """Every batch of the run from step `start` on; epochs follow each other until the steps are done."""
    by_key = {example.entry.key: example for example in examples}
    entries = [example.entry for example in examples]
    total, step = total_steps(options, seed, examples), 0
    for epoch, counted in enumerate(epoch_counts(entries, options.batch_size, seed)):
        if step >= total:
            return
        if step + counted.batches > start:
            shown = {entry.key: count for entry, count in zip(entries, counted.before.tolist(), strict=True)}
            for keys in epoch_batches(entries, options.batch_size, seed, epoch):
                earlier = _counted(keys, shown)
                if start <= step < total:
                    yield Batch(step, epoch, tuple(by_key[key] for key in keys), earlier)
                step += 1
        else:
            step += counted.batches


def _counted(keys: Sequence[str], shown: dict[str, int]) -> tuple[int, ...]:
    """How often each was shown before, and count it as shown now; one that stands there again comes after itself."""
    earlier = []
    for key in keys:
        earlier.append(shown[key])
        shown[key] += 1
    return tuple(earlier)


def with_ends(batches: Iterator[Batch]) -> Iterator[tuple[Batch, bool]]:
    """Each batch, and whether its epoch ends with it; the last one's is taken to."""
    held = next(batches, None)
    for following in batches:
        assert held is not None
        yield held, following.epoch != held.epoch
        held = following
    if held is not None:
        yield held, True
