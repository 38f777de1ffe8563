"""What is due after a batch: a snapshot, a look at the validation loss, a painting of the sample prompts."""

from __future__ import annotations

from dataclasses import dataclass

from train.options.recipe import Recipe


@dataclass(frozen=True, slots=True)
class Progress:
    """A point of the run: after `step` batches, in or at the end of the `epoch`-th epoch (from 1; 0 before the start)."""

    step: int
    epoch: int
    ends_epoch: bool
    last: bool


START = Progress(0, 0, False, False)


@dataclass(frozen=True, slots=True)
class Actions:
    snapshot: bool
    look: bool
    paint: bool

    @property
    def any(self) -> bool:
        return self.snapshot or self.look or self.paint


def due(recipe: Recipe, place: Progress) -> Actions:
    """What is due at a point of the run. The last adapter is saved in any case and is no snapshot."""
    start_or_end = place == START or place.last
    snapshot = not start_or_end and (
        _every(recipe.saving.save_every_steps, place.step)
        or (place.ends_epoch and _every(recipe.saving.save_every_epochs, place.epoch))
    )
    look = start_or_end or (
        _every(recipe.validation.validation_every, place.step) if recipe.validation.validation_every else snapshot
    )
    often = recipe.samples.sample_every_steps or recipe.samples.sample_every_epochs
    paint = start_or_end or (
        (
            _every(recipe.samples.sample_every_steps, place.step)
            or (place.ends_epoch and _every(recipe.samples.sample_every_epochs, place.epoch))
        )
        if often
        else snapshot
    )
    asked = bool(recipe.samples.sample_prompts or recipe.samples.sample_file)
    return Actions(snapshot, look and recipe.validation.validation != "none", paint and asked)


def _every(interval: int, count: int) -> bool:
    return interval > 0 and count % interval == 0
