"""Export the set for other trainers: kohya, EveryDream, imagefolder, webdataset."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from pipeline.cli import console
from pipeline.cli.set_folder import SET
from pipeline.cli.stage_command import stale_stages, warn_stale
from pipeline.cli.up_to_date import before
from pipeline.config.settings import settings_of
from pipeline.config.values import absolute
from pipeline.core.files import expanded
from pipeline.store.edits import take_in
from pipeline.store.opening import open_write

if TYPE_CHECKING:
    from pipeline.export.plan import Export, LayoutName, Options
    from pipeline.store.manifest import Manifest

LAYOUTS = ("kohya", "everydream", "imagefolder", "webdataset")
LINKS = ("auto", "hardlink", "reflink", "copy", "symlink")
SHOWN = 20
UNITS = {"": 1, "K": 1000, "M": 1000**2, "G": 1000**3, "KI": 1024, "MI": 1024**2, "GI": 1024**3}


class Size(click.ParamType[int]):
    """A number of bytes, such as 500MB or 2GiB."""

    name = "size"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> int:
        found = re.fullmatch(r"(\d+(?:\.\d+)?)\s*([KMG]I?)?B?", str(value).strip(), re.IGNORECASE)
        size = int(float(found[1]) * UNITS[(found[2] or "").upper()]) if found else 0
        if size < 1:
            self.fail(f"{value!r} is not a size; write it as 500MB or 2GiB", param, ctx)
        return size


@click.command(short_help="Export the set for other trainers: kohya, EveryDream, imagefolder, webdataset.")
@click.argument("root", metavar="SET", type=SET)
@click.argument("folder", metavar="FOLDER", type=click.Path(path_type=Path))
@click.option(
    "--layout",
    type=click.Choice(LAYOUTS),
    required=True,
    help="kohya: N_a~b~c folders and a dataset.toml for sd-scripts. everydream: folders with multiply.txt. "
    "imagefolder: images and metadata.jsonl for Hugging Face. webdataset: tar shards.",
)
@click.option(
    "--links",
    "--link",
    "links",
    type=click.Choice(LINKS),
    default="auto",
    show_default=True,
    help="How images are put into FOLDER: auto makes clones or hard links where the disk can, and copies elsewhere.",
)
@click.option("--resize", is_flag=True, help="Write the crops that training uses, as PNG, instead of the whole images.")
@click.option(
    "--escape",
    is_flag=True,
    help="Write parentheses in captions as \\( and \\), for trainers that read weights, as sd-scripts with "
    "--weighted_captions; to all others the backslash would be a letter.",
)
@click.option("--shard-size", type=Size(), help="Largest size of a webdataset shard.  [default: 500MB]")
@click.option("--dry-run", is_flag=True, help="Show what would be written and removed; change nothing in FOLDER.")
@click.option("as_json", "--json", is_flag=True, help="Print one JSON document to stdout.")
def command(
    root: Path, folder: Path, layout: LayoutName, shard_size: int | None, dry_run: bool, as_json: bool, **how: Any
) -> None:
    """Export the set for other trainers: kohya, EveryDream, imagefolder, webdataset.

    FOLDER is new, empty, or an earlier export of this set, which is updated: files that are right stay, files no longer
    needed are removed, and files that you added or changed there are listed and never touched. Every kept image is
    written with its caption. kohya gets whole repeats, the others exact ones. To import an export again, give prep flatten
    FOLDER/train for kohya, FOLDER for everydream and imagefolder, or the shards for webdataset.
    """
    from pipeline.export.plan import Options
    from pipeline.export.request import SHARD_BYTES

    if shard_size is not None and layout != "webdataset":
        raise click.UsageError(f"--shard-size is for --layout webdataset, not {layout}")
    options = Options(
        folder=absolute(expanded(folder)),
        layout=layout,
        shard_bytes=shard_size or SHARD_BYTES,
        **how,
    )
    with open_write(absolute(root), "export", dry_run=dry_run) as manifest:
        take_in(manifest)
        for name, stale in stale_stages(manifest, settings_of(manifest.root), before("train")):
            warn_stale(manifest, name, stale)
        export, kinds = _carry_out(manifest, options, dry_run)
    if as_json:
        console.print_json(_document(root, options, export, kinds, dry_run))
    else:
        _show(options, export, kinds, dry_run)


def _carry_out(manifest: Manifest, options: Options, dry_run: bool) -> tuple[Export, dict[str, int]]:
    """Plan, and unless it is a preview or all is as it should be, write; returns how many files came to be in which way."""
    from pipeline.export.plan import plan_export, recorded
    from pipeline.export.writing import carry_out

    export = plan_export(manifest, options)
    if dry_run or export.fresh:
        return export, {}
    with recorded(manifest, options, export.counts()) as counts, console.progress_bars() as progress:
        counts |= carry_out(options.folder, export.before, export.changes, options.links, progress)
    return export, counts


def _show(options: Options, export: Export, kinds: dict[str, int], dry_run: bool) -> None:
    """The table of folders or concepts, what was done, and what a person should know."""
    console.print_table(export.layout.table)
    done = "nothing was written" if dry_run else "up to date, nothing to do" if export.fresh else "done"
    console.say(f"export to {options.folder}: {done}")
    console.print_counts({**export.counts(), **kinds})
    for note in export.warnings:
        console.warn(note)
    if dry_run:
        lines = [f"write {file.path}" for file in export.changes.write]
        shown, left = console.selected([f"remove {path}" for path in export.changes.remove] + lines, SHOWN)
        for line in shown:
            click.echo(console.printable(line))
        if left:
            console.say(f"… and {left} more; --json lists all of them")


def _document(root: Path, options: Options, export: Export, kinds: dict[str, int], dry_run: bool) -> dict[str, Any]:
    changes = export.changes
    return {
        "set": str(root),
        "folder": str(options.folder),
        "layout": options.layout,
        "dry_run": dry_run,
        "fresh": export.fresh,
        "counts": {**export.counts(), **kinds},
        "warnings": list(export.warnings),
        "table": [dict(row) for row in export.layout.table],
        "write": [file.path for file in changes.write],
        "remove": list(changes.remove),
        "changed_by_a_person": list(changes.edited),
        "in_the_way": list(changes.in_the_way),
        "not_written_by_prep": list(changes.strangers),
    }
