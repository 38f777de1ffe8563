"""What is due after a batch: a snapshot, a validation, a set of sample images."""

from __future__ import annotations

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


def _falls(now: Progress, steps: int, epochs: int) -> bool:
    """Whether so many steps, or so many whole epochs, end there."""
    return _every(steps, now.step) or (now.ends_epoch and _every(epochs, now.epoch))


def _every(interval: int, count: int) -> bool:
    return interval > 0 and count % interval == 0
