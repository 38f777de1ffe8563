"""A run as it is planned: the dataset that it would train on, and what its batches come to."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from pipeline.core.errors import PrepError
from pipeline.store.manifest import Manifest
from train.data.accumulation import UpdateWindows, update_windows
from train.data.dataset import Dataset, Example, not_ready, read_dataset
from train.evaluation.split import SplitDataset, split_dataset
from train.plan.steps import TrainingSchedule, training_schedule

if TYPE_CHECKING:
    from train.options.recipe import Recipe

MOST_NAMED = 3
"""How many images or sizes a warning names."""


@dataclass(frozen=True, slots=True, eq=False)
class PlannedRun:
    """`dataset` is the set as it was read, `split` what of it is trained on and what the loss is measured on, `schedule`
    the batches; `problem` is why the run would refuse to begin, None where it would not."""

    dataset: Dataset
    split: SplitDataset
    schedule: TrainingSchedule
    problem: PrepError | None

    @property
    def training(self) -> Sequence[Example]:
        """In the order of the schedule's exposures."""
        return self.split.training

    @property
    def reg_image_files(self) -> int:
        """How many different regularization images are trained on."""
        return len({reg_image.image.file for example in self.training for reg_image in example.reg_images})

    def windows(self, recipe: Recipe) -> UpdateWindows:
        """When the weights are updated."""
        return update_windows(recipe.batches, recipe.run.seed, self.training, self.schedule.steps)

    def exposures(self) -> Mapping[str, int]:
        """Image → how often it is shown in the run."""
        keys = [example.entry.key for example in self.training]
        return dict(zip(keys, self.schedule.exposures.tolist(), strict=True))


def planned_run(manifest: Manifest, recipe: Recipe) -> PlannedRun:
    """Read the dataset as a run does, and go over its batches.

    Raises:
        PrepError: the set is empty, a stage before training has not run for all of it, no concept can spare an image to
            be held out, or no image is ever shown.
    """
    dataset, seed = read_dataset(manifest, recipe.dataset), recipe.run.seed
    split = split_dataset(manifest, dataset, recipe.validation, seed)
    schedule = training_schedule([example.entry for example in split.training], recipe.batches, seed)
    return PlannedRun(dataset, split, schedule, not_ready(manifest.root, dataset))
