"""Take chosen generated images into the set, with their prompts as captions."""

from __future__ import annotations

from pathlib import Path

import click

from pipeline.cli import console
from pipeline.cli.set_folder import SET
from pipeline.core.errors import PrepError
from pipeline.core.humanize import counted
from pipeline.store.tables.schema import FILE


@click.command(short_help="Take chosen generated images into the set, with their prompts as captions.")
@click.argument("root", metavar="SET", type=SET)
@click.argument("files", metavar="IMAGE...", nargs=-1, required=True, type=click.Path(path_type=Path, dir_okay=False))
@click.option("--concept", required=True, help="Concept of the images, a folder's name, such as Lumi or generated.")
@click.option(
    "--repeats",
    type=click.IntRange(1, 1000),
    default=1,
    help="How often an epoch shows each.  [default: 1]",
)
@click.pass_context
def command(context: click.Context, root: Path, files: tuple[Path, ...], concept: str, repeats: int) -> None:
    """Take chosen generated images into the set, with their prompts as captions.

    A last resort where a set has too few images of something that an adapter can already paint: choose the best of `prep sample`,
    `prep grid` or a web UI. They are copied to a folder beside the set, which becomes a source of it; a concept of their own
    keeps them apart. Images of the base model alone are refused, as they teach nothing new.
    """
    from pipeline.cli.main import prep
    from pipeline.sources.adoption import adopt, folder_of, made

    if not (root / FILE).is_file():
        raise PrepError(f"no set at {root}", f"make one with: prep flatten FOLDER {root}")
    if Path(concept).name != concept or concept in ("", ".", ".."):
        raise PrepError(f"--concept {concept!r} is not the name of a folder", "give one name, such as Lumi")
    images = [made(file) for file in files]
    folder = folder_of(root, concept, repeats)
    kept = list(adopt(images, folder))
    names = ", ".join(sorted({image.by for image in images}))
    console.say(f"{counted(len(kept), 'image')} made by {names}: {folder}")
    prep.main(["flatten", str(folder.parent), str(root)], standalone_mode=False)
    context.exit(0)
