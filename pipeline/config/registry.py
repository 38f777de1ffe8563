"""The stages of `prep` in their order: what each is called, and which module holds it, imported only when it is used."""

from __future__ import annotations

import importlib
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class StageEntry:
    """A stage's name, the module that ends with its `STAGE`, and the first line of that module's docstring."""

    name: str
    module: str
    help: str

    def options(self) -> type:
        """The dataclass whose fields are the stage's flags and the keys of its section in prep.toml."""
        options: type = importlib.import_module(self.module).STAGE.options
        return options


STAGES = (
    StageEntry(
        "flatten", "pipeline.stages.flatten", "Bring folders of images into a set; the originals are never touched."
    ),
    StageEntry(
        "check",
        "pipeline.stages.check",
        "Judge every image: readable, large enough, sharp, and not a copy of another.",
    ),
    StageEntry(
        "bucket", "pipeline.stages.bucket", "Give every kept image the training size nearest to its aspect ratio."
    ),
    StageEntry(
        "tag",
        "pipeline.stages.tag",
        "Score every kept image with a tagger; scores are stored by content, so a threshold can change later.",
    ),
    StageEntry(
        "curate",
        "pipeline.stages.curate",
        "Turn scores into captions: choose, rename, consolidate, prune what the trigger should absorb, "
        "trigger words first.",
    ),
    StageEntry(
        "balance",
        "pipeline.stages.balance",
        "Choose how often each image is shown, so that every concept gets its share.",
    ),
    StageEntry(
        "regularize",
        "pipeline.stages.regularize",
        "Make a matched regularization image for every kept one: the base model's own answer to the same caption.",
    ),
    StageEntry(
        "train",
        "pipeline.stages.train",
        "Train an adapter on the set: buckets, repeats, captions and regularization images as they were decided.",
    ),
    StageEntry(
        "sample",
        "pipeline.stages.sample",
        "Paint images with the adapter and without it, from the same seeds, to see what was learned.",
    ),
)


def stage(name: str) -> StageEntry | None:
    """The stage of that name, or None."""
    return next((entry for entry in STAGES if entry.name == name), None)
