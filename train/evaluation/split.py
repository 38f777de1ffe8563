"""The dataset, split into what is trained on and what the loss is measured on: the same for the plan and the run. No torch
here."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass, replace

from pipeline.store.manifest import Manifest
from train.data.dataset import Dataset, Example, dataset_digest
from train.evaluation.holdout import Splits, split_examples
from train.evaluation.options import ValidationOptions


@dataclass(frozen=True, slots=True, eq=False)
class SplitDataset:
    """`training` is what is trained on, with repeats that make up for what is held out; `held_out` what is never trained on;
    `train_subset` the part of the first that the loss is measured on too. `info` say why."""

    training: tuple[Example, ...]
    held_out: tuple[Example, ...]
    train_subset: tuple[Example, ...]
    info: tuple[str, ...]

    def every(self) -> Iterator[Example]:
        """All whose latents a run needs."""
        yield from self.training
        yield from self.held_out

    def digest(self) -> str:
        """A hash of everything about the images that training and validation depend on."""
        return hashlib.sha256("".join(map(dataset_digest, (self.training, self.held_out))).encode()).hexdigest()


def split_dataset(manifest: Manifest, dataset: Dataset, options: ValidationOptions, seed: int) -> SplitDataset:
    """Hold images out as the options ask for it.

    Raises:
        PrepError: images are to be held out, but no concept can spare one.
    """
    found = dataset.examples
    concepts = {example.entry.key: example.concept for example in found}
    repeats = {example.entry.key: example.entry.repeats for example in found}
    parts = split_examples(manifest, concepts, repeats, options, seed)
    held, train_subset = frozenset(parts.held_out), frozenset(parts.train_subset)
    training = tuple(_weighed(example, parts) for example in found if example.entry.key not in held) if held else found
    return SplitDataset(
        training,
        tuple(example for example in found if example.entry.key in held),
        tuple(example for example in training if example.entry.key in train_subset),
        parts.info,
    )


def _weighed(example: Example, parts: Splits) -> Example:
    repeats = parts.repeats[example.entry.key]
    same = repeats == example.entry.repeats
    return example if same else replace(example, entry=replace(example.entry, repeats=repeats))
