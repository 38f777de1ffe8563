"""Write a prep.toml that shows every setting of every stage."""

from __future__ import annotations

from pathlib import Path

import click

from pipeline.cli import console
from pipeline.config.annotated import annotated_text
from pipeline.config.settings import FILE, Settings
from pipeline.core.errors import PrepError
from pipeline.core.files import write_text


@click.command(short_help="Write a prep.toml that shows every setting of every stage.")
@click.argument("root", metavar="SET", type=click.Path(path_type=Path, file_okay=False))
def command(root: Path) -> None:
    """Write a prep.toml that shows every setting of every stage.

    Each stands in the section of its stage, commented out, with its default and its help. The first `prep flatten` of a set
    writes the same file; one that is there already is never changed.
    """
    file = root / FILE
    if file.exists():
        raise PrepError(
            f"{file} is there already, and is left as it is",
            "init another folder to see all settings and their defaults",
        )
    root.mkdir(parents=True, exist_ok=True)
    write_text(file, annotated_text(Settings()))
    console.say(f"every setting, commented out: {file}")
    console.say(f"next: prep flatten FOLDER {root}")
