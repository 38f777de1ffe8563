"""The argument SET: a folder that holds a set."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click


class SetFolder(click.Path):
    """The folder of a set, there or not; one that an older prep made is brought forward before anything reads it."""

    def __init__(self) -> None:
        super().__init__(path_type=Path)

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Path:
        folder = Path(str(super().convert(value, param, ctx)))
        bring_forward(folder)
        return folder


SET = SetFolder()


def bring_forward(root: Path) -> None:
    """Bring a set that an older prep made up to this one, and say so."""
    from pipeline.store import opening

    message = opening.bring_forward(root)
    if message:
        from pipeline.cli import console

        console.say(message)
