"""The commands of `prep` that are no stages: one file each, imported only when it is used."""

from __future__ import annotations

import importlib
from dataclasses import dataclass

import click


@dataclass(frozen=True, slots=True)
class CommandEntry:
    """A command's name, the module that holds it as `command`, and the first line of that module's docstring."""

    name: str
    module: str
    help: str

    def load(self) -> click.Command:
        command = importlib.import_module(self.module).command
        assert isinstance(command, click.Command), self.module
        return command


COMMANDS = (
    CommandEntry("run", "pipeline.cli.commands.run", "Prepare and train in one go, skipping what is up to date."),
    CommandEntry(
        "status", "pipeline.cli.commands.status", "Show which stages are up to date, and what each of them counted."
    ),
    CommandEntry("log", "pipeline.cli.commands.log", "Show what ran, and what was decided about which image and why."),
    CommandEntry("tags", "pipeline.cli.commands.tags", "Ask about the tags of a set, and edit them in bulk."),
    CommandEntry("diff", "pipeline.cli.commands.diff", "Show what a run changed, captions word by word."),
    CommandEntry("undo", "pipeline.cli.commands.undo", "Take back what a run did, files included."),
    CommandEntry(
        "export",
        "pipeline.cli.commands.export",
        "Write the set for other trainers: kohya, EveryDream, imagefolder, webdataset.",
    ),
    CommandEntry(
        "report", "pipeline.cli.commands.report", "Write one HTML page that shows what was found, decided and learned."
    ),
    CommandEntry(
        "presets",
        "pipeline.cli.commands.presets",
        "Show the settings of published training notes, ready to train with.",
    ),
    CommandEntry(
        "losses",
        "pipeline.cli.commands.losses",
        "Show which images are hardest and easiest, before training and after.",
    ),
    CommandEntry(
        "adapter",
        "pipeline.cli.commands.adapter",
        "Look at adapter files, convert them for other programs, merge, extract and resize them.",
    ),
    CommandEntry(
        "cache",
        "pipeline.cli.commands.cache",
        "Show what lies in the set's cache, what of it no image uses any more, and what is damaged.",
    ),
    CommandEntry("demo", "pipeline.cli.commands.demo", "Run everything on a miniature world, offline, in minutes."),
)
