"""What `prep` can do: one list of stages in their order, one of other commands, each loaded only when used."""

from __future__ import annotations

import importlib
from dataclasses import dataclass
from types import ModuleType


@dataclass(frozen=True, slots=True)
class Entry:
    """A command's name, the module behind it, and the first line of that module's docstring."""

    name: str
    module: str
    help: str

    def load(self) -> ModuleType:
        return importlib.import_module(self.module)


STAGES = (
    Entry(
        "flatten", "pipeline.stages.flatten", "Bring folders of pictures into a set; the originals are never touched."
    ),
    Entry(
        "check",
        "pipeline.stages.check",
        "Judge every picture: readable, large enough, sharp, and not a copy of another.",
    ),
    Entry("bucket", "pipeline.stages.bucket", "Give every kept picture the training size nearest to its aspect ratio."),
    Entry(
        "tag",
        "pipeline.stages.tag",
        "Score every kept picture with a tagger; scores are stored by content, so a threshold can change later.",
    ),
    Entry(
        "curate",
        "pipeline.stages.curate",
        "Turn scores into captions: choose, rename, consolidate, prune what the trigger should absorb, "
        "trigger words first.",
    ),
    Entry(
        "balance",
        "pipeline.stages.balance",
        "Choose how often each picture is shown, so that every concept gets its share.",
    ),
    Entry(
        "regularize",
        "pipeline.stages.regularize",
        "Make a matched regularization picture for every kept one: the base model's own answer to the same caption.",
    ),
    Entry(
        "train",
        "pipeline.stages.train",
        "Train an adapter on the set: buckets, multipliers, captions and regularization twins as they were decided.",
    ),
    Entry(
        "sample",
        "pipeline.stages.sample",
        "Paint pictures with the adapter and without it, from the same seeds, to see what was learned.",
    ),
)
COMMANDS = (
    Entry("run", "pipeline.commands.run", "Prepare and train in one go, skipping what is up to date."),
    Entry("status", "pipeline.commands.status", "Show which stages are up to date, and what each of them counted."),
    Entry("log", "pipeline.commands.log", "Show what ran, and what was decided about which picture and why."),
    Entry("tags", "pipeline.commands.tags", "Ask about the tags of a set, and edit them in bulk."),
    Entry("diff", "pipeline.commands.diff", "Show what a run changed, captions word by word."),
    Entry("undo", "pipeline.commands.undo", "Take back what a run did, files included."),
    Entry(
        "export",
        "pipeline.commands.export",
        "Write the set for other trainers: kohya, EveryDream, imagefolder, webdataset.",
    ),
    Entry("report", "pipeline.commands.report", "Write one HTML page that shows what was found, decided and learned."),
    Entry(
        "presets", "pipeline.commands.presets", "Show the settings of published training notes, ready to train with."
    ),
    Entry(
        "losses", "pipeline.commands.losses", "Show which pictures are hardest and easiest, before training and after."
    ),
    Entry(
        "adapter",
        "pipeline.commands.adapter",
        "Look at adapter files, convert them for other programs, merge, extract and resize them.",
    ),
    Entry(
        "cache",
        "pipeline.commands.cache",
        "Show what lies in the set's cache, what of it no picture uses any more, and what is damaged.",
    ),
    Entry("demo", "pipeline.commands.demo", "Run everything on a miniature world, offline, in minutes."),
)


def stage(name: str) -> Entry | None:
    """The stage of that name, or None."""
    return next((entry for entry in STAGES if entry.name == name), None)
