"""What is due after a batch: a snapshot, a look at the validation loss, a painting of the sample prompts."""

from __future__ import annotations

from dataclasses import dataclass

from train.data.progress import START, Progress
from train.evaluation.options import SampleOptions, ValidationOptions
from train.run.options import SavingOptions


@dataclass(frozen=True, slots=True)
class Actions:
    snapshot: bool
    look: bool
    paint: bool

    @property
    def any(self) -> bool:
        return self.snapshot or self.look or self.paint


def due(place: Progress, saving: SavingOptions, validation: ValidationOptions, samples: SampleOptions) -> Actions:
    """What is due at a point of the run. The last adapter is saved in any case and is no snapshot."""
    start_or_end = place == START or place.last
    snapshot = not start_or_end and _falls(place, saving.save_every_steps, saving.save_every_epochs)
    every = validation.validation_every
    look = start_or_end or (_every(every, place.step) if every else snapshot)
    often = samples.sample_every_steps or samples.sample_every_epochs
    paint = start_or_end or (
        _falls(place, samples.sample_every_steps, samples.sample_every_epochs) if often else snapshot
    )
    return Actions(snapshot, look and validation.validation != "none", paint and samples.any)


def _falls(place: Progress, steps: int, epochs: int) -> bool:
    """Whether so many steps, or so many whole epochs, end there."""
    return _every(steps, place.step) or (place.ends_epoch and _every(epochs, place.epoch))


def _every(interval: int, count: int) -> bool:
    return interval > 0 and count % interval == 0
