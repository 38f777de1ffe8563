"""Where a new set may be made: never in a folder of a person's images without their word."""

from __future__ import annotations

import itertools
import os
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

from pipeline.core.errors import PrepError
from pipeline.sources.source_file import IMAGE, kind_of
from pipeline.store.tables.schema import FILE

LOOKED_AT = 2000
"""Files of a folder that are looked at before it is taken for one without images."""
_HINT = "name the folders of images first and a new folder for the set last: prep flatten FOLDER... SET"


def check_folder(root: Path, sources: Iterable[str], agreed: Callable[[str], bool]) -> None:
    """See that a set may be made in a folder; nothing is written.

    Args:
        sources: what the set is made from.
        agreed: asks a person; called with what they should know where the folder holds images.
    Raises:
        PrepError: the folder is a source itself, or it holds images and nobody agreed.
    """
    if (root / FILE).exists() or not root.exists():
        return
    if not root.is_dir():
        raise PrepError(f"{root} is a file, not a folder for a set", _HINT)
    here = os.path.realpath(root)
    if any(os.path.realpath(source) == here for source in sources):
        raise PrepError(f"{root} is a source of images; the set needs a folder of its own", _HINT)
    images = list(itertools.islice(_images(root), 2))
    if images and not agreed(f"{root} holds images, such as {images[0].relative_to(root)}, and is no set"):
        raise PrepError(f"{root} holds images, such as {images[0].relative_to(root)}, and is no set", _HINT)


def _images(root: Path) -> Iterator[Path]:
    files = (Path(folder) / name for folder, _, names in os.walk(root) for name in names)
    return (file for file in itertools.islice(files, LOOKED_AT) if kind_of(file.name)[0] == IMAGE)
