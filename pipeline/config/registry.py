"""What `prep` can do: one list of stages in their order, one of other commands, each loaded only when used."""

from __future__ import annotations

import importlib
from dataclasses import dataclass
from types import ModuleType


@dataclass(frozen=True, slots=True)
class Command:
    """A command's name, the module behind it, and the first line of that module's docstring."""

    name: str
    module: str
    help: str

    def load(self) -> ModuleType:
        return importlib.import_module(self.module)


STAGES = (
    Command(
        "flatten", "pipeline.stages.flatten", "Bring folders of images into a set; the originals are never touched."
    ),
    Command(
        "check",
        "pipeline.stages.check",
        "Judge every image: readable, large enough, sharp, and not a copy of another.",
    ),
    Command("bucket", "pipeline.stages.bucket", "Give every kept image the training size nearest to its aspect ratio."),
    Command(
        "tag",
        "pipeline.stages.tag",
        "Score every kept image with a tagger; scores are stored by content, so a threshold can change later.",
    ),
    Command(
        "curate",
        "pipeline.stages.curate",
        "Turn scores into captions: choose, rename, consolidate, prune what the trigger should absorb, "
        "trigger words first.",
    ),
    Command(
        "balance",
        "pipeline.stages.balance",
        "Choose how often each image is shown, so that every concept gets its share.",
    ),
    Command(
        "regularize",
        "pipeline.stages.regularize",
        "Make a matched regularization image for every kept one: the base model's own answer to the same caption.",
    ),
    Command(
        "train",
        "pipeline.stages.train",
        "Train an adapter on the set: buckets, repeats, captions and regularization images as they were decided.",
    ),
    Command(
        "sample",
        "pipeline.stages.sample",
        "Paint images with the adapter and without it, from the same seeds, to see what was learned.",
    ),
)
COMMANDS = (
    Command("run", "pipeline.cli.commands.run", "Prepare and train in one go, skipping what is up to date."),
    Command(
        "status", "pipeline.cli.commands.status", "Show which stages are up to date, and what each of them counted."
    ),
    Command("log", "pipeline.cli.commands.log", "Show what ran, and what was decided about which image and why."),
    Command("tags", "pipeline.cli.commands.tags", "Ask about the tags of a set, and edit them in bulk."),
    Command("diff", "pipeline.cli.commands.diff", "Show what a run changed, captions word by word."),
    Command("undo", "pipeline.cli.commands.undo", "Take back what a run did, files included."),
    Command(
        "export",
        "pipeline.cli.commands.export",
        "Write the set for other trainers: kohya, EveryDream, imagefolder, webdataset.",
    ),
    Command(
        "report", "pipeline.cli.commands.report", "Write one HTML page that shows what was found, decided and learned."
    ),
    Command(
        "presets",
        "pipeline.cli.commands.presets",
        "Show the settings of published training notes, ready to train with.",
    ),
    Command(
        "losses",
        "pipeline.cli.commands.losses",
        "Show which images are hardest and easiest, before training and after.",
    ),
    Command(
        "adapter",
        "pipeline.cli.commands.adapter",
        "Look at adapter files, convert them for other programs, merge, extract and resize them.",
    ),
    Command(
        "cache",
        "pipeline.cli.commands.cache",
        "Show what lies in the set's cache, what of it no image uses any more, and what is damaged.",
    ),
    Command("demo", "pipeline.cli.commands.demo", "Run everything on a miniature world, offline, in minutes."),
)


def stage(name: str) -> Command | None:
    """The stage of that name, or None."""
    return next((entry for entry in STAGES if entry.name == name), None)
