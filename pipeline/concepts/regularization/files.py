"""Files of regularization images in a set: generated ones carry a mark of their settings, user-supplied ones were imported."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path

from PIL import Image, PngImagePlugin

from pipeline.concepts.regularization.paths import FOLDER
from pipeline.core.errors import PrepError
from pipeline.core.files import replacing, write_text
from pipeline.store.history.undo_log import stamp
from pipeline.store.manifest import Manifest

MARK = "prep-regularization"
"""The PNG text that holds the mark."""
OLD_MARK = "prep-twin"
"""What it was called in sets of format 3, whose images are not touched when the set is brought forward."""


@contextlib.contextmanager
def _told(file: Path) -> Iterator[None]:
    """Turn a file that cannot be written, as on a full disk, into words; what was half written is gone by then.

    Raises:
        PrepError: the block raised an OSError.
    """
    try:
        yield
    except OSError as error:
        raise PrepError(
            f"{file} could not be written: {error.strerror or error}",
            "see that there is room on the disk and the folder can be written to, then run the same again: what is made "
            "is kept",
        ) from error


def save_generated(file: Path, image: Image.Image, mark: str) -> None:
    """Write a generated image as PNG with its mark.

    Raises:
        PrepError: it cannot be written.
    """
    info = PngImagePlugin.PngInfo()
    info.add_text(MARK, mark)
    with _told(file), replacing(file) as temporary:
        image.save(temporary, "PNG", pnginfo=info)


def save_caption(file: Path, caption: str) -> None:
    """Write the caption beside an image.

    Raises:
        PrepError: it cannot be written.
    """
    target = file.with_suffix(".txt")
    with _told(target):
        write_text(target, caption + "\n")


def read_mark(file: Path) -> str | None:
    """The mark of a generated image; None for any other file."""
    try:
        with Image.open(file) as image:
            return image.info.get(MARK, image.info.get(OLD_MARK))
    except OSError:
        return None


def remove_strays(manifest: Manifest, wanted: set[str], stage: str) -> None:
    """Remove images generated for those no longer kept, and given ones that the stage brought and that are used no
    more; a file that is neither is left alone.

    Args:
        wanted: paths in the set that stay.
        stage: its name, by which its runs are found.
    """
    brought = _brought(manifest, stage)
    for file in sorted((manifest.root / FOLDER).glob("*/*")):
        path = file.relative_to(manifest.root).as_posix()
        if path in wanted or file.suffix == ".txt":
            continue
        if path in brought or (file.suffix == ".png" and read_mark(file) is not None):
            file.unlink()
            file.with_suffix(".txt").unlink(missing_ok=True)


def _brought(manifest: Manifest, stage: str) -> set[str]:
    """Files that earlier runs of the stage made and nobody changed since."""
    made = manifest.history.made_by_stage(stage)
    return {path for path, after in made if stamp(manifest.root / path) == after}
