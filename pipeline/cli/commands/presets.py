"""List presets: settings from published training notes."""

from __future__ import annotations

from itertools import groupby
from typing import TYPE_CHECKING, Any

import click

from pipeline.cli import console
from pipeline.config.settings import Settings, toml_text

if TYPE_CHECKING:
    from train.options.presets import Preset


@click.command(short_help="List presets: settings from published training notes.")
@click.argument("name", metavar="[PRESET]", required=False)
@click.option("as_json", "--json", is_flag=True, help="Print one JSON document to stdout.")
def command(name: str | None, as_json: bool) -> None:
    """List presets: settings from published training notes, and the ranks that `prep train --suggest` chooses.

    With the name of a preset its settings are printed as sections of prep.toml: those of training, and of the stages
    before it of which the note speaks; the plan of `prep train --preset` says which of these the set was made without.
    Settings of your own, in prep.toml or as flags, override those of a preset.
    """
    from train.options.presets import DIFFICULTIES, load_preset, preset_names

    if name is not None:
        _show(load_preset(name), as_json)
        return
    found = [load_preset(each) for each in preset_names()]
    if as_json:
        ranks = {letter: {"subject": each.subject, "rank": each.most} for letter, each in DIFFICULTIES.items()}
        console.print_json({"presets": [_json(each) for each in found], "suggest": ranks})
        return
    for source, same in groupby(sorted(found, key=lambda each: (each.source, each.name)), key=lambda each: each.source):
        click.echo("\n" + console.printable(source))
        console.print_table([{"preset": each.name, "what it is": each.description} for each in same])
    click.echo("\nRanks by how difficult a character is, for SD 1.5 (prep train --suggest)")
    console.print_table(
        [{"suggest": letter, "rank": each.most, "for": each.subject} for letter, each in DIFFICULTIES.items()]
    )
    console.say("to see the settings of one: prep presets NAME; to train with it: prep train SET --preset NAME")


def _show(preset: Preset, as_json: bool) -> None:
    if as_json:
        console.print_json(_json(preset))
        return
    section = toml_text(Settings(stages={"train": dict(preset.values)})).partition("[train]\n")[2]
    lines = [f"# {preset.name}: {preset.description}", f"# from {preset.source}"]
    lines += [f"# left to you: {what}" for what in preset.leaves]
    for stage, values in preset.stages.items():
        of_stage = toml_text(Settings(stages={stage: dict(values)})).partition(f"[{stage}]\n")[2]
        lines += [f"[{stage}]", *of_stage.splitlines()]
    for line in (*lines, "[train]", *section.splitlines()):
        click.echo(console.printable(line))


def _json(preset: Preset) -> dict[str, Any]:
    return {
        "name": preset.name,
        "description": preset.description,
        "source": preset.source,
        "leaves": list(preset.leaves),
        **{stage: dict(values) for stage, values in preset.stages.items()},
        "train": dict(preset.values),
    }
