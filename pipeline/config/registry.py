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
        "flatten", "pipeline.stages.flatten", "Import folders of images into a set; the originals are never changed."
    ),
    StageEntry(
        "check",
        "pipeline.stages.check",
        "Decide which images to keep: readable, large enough, sharp, and no duplicates.",
    ),
    StageEntry(
        "bucket", "pipeline.stages.bucket", "Assign every kept image to the bucket nearest to its aspect ratio."
    ),
    StageEntry(
        "tag",
        "pipeline.stages.tag",
        "Score every kept image with a tagger; scores are stored by content, so a threshold can change later.",
    ),
    StageEntry(
        "curate",
        "pipeline.stages.curate",
        "Turn scores into captions: choose and rename tags, drop what is implied or prunes into the trigger, "
        "trigger words first.",
    ),
    StageEntry(
        "balance",
        "pipeline.stages.balance",
        "Choose the repeats of every image, so that each concept gets its target share of an epoch.",
    ),
    StageEntry(
        "regularize",
        "pipeline.stages.regularize",
        "Generate a regularization image for every kept image: what the base model makes of the same caption.",
    ),
    StageEntry(
        "train",
        "pipeline.stages.train",
        "Train an adapter on the set, with the buckets, repeats, captions and regularization images of the stages before.",
    ),
    StageEntry(
        "sample",
        "pipeline.stages.sample",
        "Generate images with and without the adapter, from the same seeds, to see what was learned.",
    ),
)


def stage(name: str) -> StageEntry | None:
    """The stage of that name, or None."""
    return next((entry for entry in STAGES if entry.name == name), None)
