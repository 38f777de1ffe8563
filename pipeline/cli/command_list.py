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
    CommandEntry("init", "pipeline.cli.commands.init", "Write a prep.toml that shows every setting of every stage."),
    CommandEntry("run", "pipeline.cli.commands.run", "Run all stages in order, skipping those that are up to date."),
    CommandEntry("status", "pipeline.cli.commands.status", "Show which stages are up to date, and the counts of each."),
    CommandEntry("log", "pipeline.cli.commands.log", "List the runs, and what was decided about each image and why."),
    CommandEntry("tags", "pipeline.cli.commands.tags.group", "Ask about the tags of a set, and edit them in bulk."),
    CommandEntry("images", "pipeline.cli.commands.images", "Ask for images of a set, and decide about them."),
    CommandEntry("diff", "pipeline.cli.commands.diff", "Show what a run changed, captions word by word."),
    CommandEntry("undo", "pipeline.cli.commands.undo", "Undo a run, files included."),
    CommandEntry(
        "export",
        "pipeline.cli.commands.export",
        "Export the set for other trainers: kohya, EveryDream, imagefolder, webdataset.",
    ),
    CommandEntry("review", "pipeline.cli.commands.review", "Look at a set in the browser, and decide."),
    CommandEntry("report", "pipeline.cli.commands.report", "Write an HTML report on the set, or on a training run."),
    CommandEntry(
        "grid",
        "pipeline.cli.commands.grid.command",
        "Compare adapters, strengths, base models and prompts side by side.",
    ),
    CommandEntry(
        "adopt",
        "pipeline.cli.commands.adopt",
        "Take chosen generated images into the set, with their prompts as captions.",
    ),
    CommandEntry(
        "compare",
        "pipeline.cli.commands.compare",
        "Compare training runs: settings that differ, losses, and the same images side by side.",
    ),
    CommandEntry(
        "presets",
        "pipeline.cli.commands.presets",
        "List presets: settings from published training notes.",
    ),
    CommandEntry(
        "losses",
        "pipeline.cli.commands.losses",
        "List the images with the highest and lowest loss, before and after training.",
    ),
    CommandEntry(
        "adapter",
        "pipeline.cli.commands.adapter.group",
        "Look at adapter files, convert them for other programs, merge, extract and resize them.",
    ),
    CommandEntry(
        "cache",
        "pipeline.cli.commands.cache",
        "Show what is in the set's cache, what of it is unused, and what is damaged.",
    ),
    CommandEntry(
        "demo", "pipeline.cli.commands.demo", "Run all stages on a small built-in example, offline, in minutes."
    ),
)
