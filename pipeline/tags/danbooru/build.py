"""Make the tables of this folder anew from files of the board.

    python -m pipeline.tags.danbooru.build --implications FILE --aliases FILE --tags FILE --source "July 2026"

Each file is a CSV with the columns that `board_csv` names. Of implications and aliases only those of listed tags stay.
"""

from __future__ import annotations

from pathlib import Path

import click

from pipeline.tags.danbooru import tables
from pipeline.tags.danbooru.board_csv import NAMES, STANDS_FOR, read_implications, rows

FILE = click.Path(exists=True, dir_okay=False, path_type=Path)


def build(implications: Path, aliases: Path, tags: Path, source: str) -> dict[str, str]:
    """Name of each table → its text."""
    known = {tag for (tag,) in rows(tags, NAMES, "tags")}
    implied: dict[str, set[str]] = {}
    for child, parents in read_implications(implications).items():
        for parent in known.intersection(parents) if child in known else ():
            implied.setdefault(parent, set()).add(child)
    called: dict[str, set[str]] = {}
    for name, tag in rows(aliases, STANDS_FOR, "aliases"):
        if tag in known and name not in known:
            called.setdefault(tag, set()).add(name)
    return {
        tables.IMPLICATIONS: tables.written(implied, f"Danbooru, {source}: tag < tags that imply it"),
        tables.ALIASES: tables.written(called, f"Danbooru, {source}: tag < other names of it"),
        tables.TAGS: "\n".join([f"# Danbooru, {source}: general tags that taggers know", *sorted(known)]) + "\n",
    }


@click.command()
@click.option("--implications", type=FILE, required=True, help="Which tag implies which.")
@click.option("--aliases", type=FILE, required=True, help="Which name stands for which tag.")
@click.option("--tags", type=FILE, required=True, help="The general tags that taggers know.")
@click.option("--source", required=True, help="The month that the files are of.")
@click.option("--to", type=click.Path(file_okay=False, path_type=Path), default=Path(__file__).parent)
def main(implications: Path, aliases: Path, tags: Path, source: str, to: Path) -> None:
    """Make the tables of what Danbooru says of tags anew."""
    for name, text in build(implications, aliases, tags, source).items():
        (to / name).write_text(text, encoding="utf-8", newline="\n")
        click.echo(f"{to / name}: {len(text.splitlines()) - 1} lines")


if __name__ == "__main__":
    main()
