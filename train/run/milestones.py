"""What is due after a batch: a snapshot, a validation, a set of sample images."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from train.data.progress import START, Progress
from train.evaluation.options import SampleOptions, ValidationOptions
from train.run.options import SavingOptions


@dataclass(frozen=True, slots=True)
class Actions:
    snapshot: bool
    evaluate: bool
    generate: bool

    @property
    def any(self) -> bool:
        return self.snapshot or self.evaluate or self.generate


def due(now: Progress, saving: SavingOptions, validation: ValidationOptions, samples: SampleOptions) -> Actions:
    """What is due at a point of the run. The last adapter is saved in any case and is no snapshot."""
    start_or_end = now == START or now.last
    snapshot = not start_or_end and _falls(now, saving.save_every_steps, saving.save_every_epochs)
    every = validation.validation_every
    evaluate = start_or_end or (_every(every, now.step) if every else snapshot)
    often = samples.sample_every_steps or samples.sample_every_epochs
    generate = start_or_end or (
        _falls(now, samples.sample_every_steps, samples.sample_every_epochs) if often else snapshot
    )
    return Actions(snapshot, evaluate and validation.validation != "none", generate and samples.any)


def milestones(
    steps: int, ends: Mapping[int, int], saving: SavingOptions, validation: ValidationOptions, samples: SampleOptions
) -> Iterator[Actions]:
    """What is due in a run of so many steps, by the points at which anything can be; most steps are none of them.

    Args:
        ends: the step at which each whole epoch ends → the epoch, from 1.
    """
    often = (saving.save_every_steps, validation.validation_every, samples.sample_every_steps)
    places = {steps, *ends}.union(*(range(every, steps + 1, every) for every in often if every > 0))
    whole = sorted(ends)
    yield due(START, saving, validation, samples)
    for step in sorted(places):
        now = Progress(step, bisect_left(whole, step) + 1, step in ends, step == steps)
        yield due(now, saving, validation, samples)


def _falls(now: Progress, steps: int, epochs: int) -> bool:
    """Whether so many steps, or so many whole epochs, end there."""
    return _every(steps, now.step) or (now.ends_epoch and _every(epochs, now.epoch))


def _every(interval: int, count: int) -> bool:
    return interval > 0 and count % interval == 0
