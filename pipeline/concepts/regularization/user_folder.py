"""The folder that a person's regularization images lie in: any folder, or another set, of which the kept images are taken."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path

from pipeline.concepts.regularization.paths import FOLDER
from pipeline.config.values import absolute
from pipeline.core.errors import PrepError
from pipeline.sources.scan import scan
from pipeline.sources.source_file import IMAGE, Found, sniffed
from pipeline.store.manifest import Manifest
from pipeline.store.tables.schema import FILE

IMAGES = "images"
"""Where a set keeps its images."""


def listing_digest(manifest: Manifest, folder: Path) -> str:
    """A hash that changes when a file of the folder does, or what is kept of a set."""
    digest, whole = hashlib.sha256(), checked(manifest.root, folder)
    for found in scan((whole,), of_sets=True):
        problem = "" if found.problem is None else found.problem.reason
        line = "\0".join((found.path, found.kind, str(found.bytes), str(found.modified), problem))
        digest.update(line.encode(errors="surrogatepass"))
    for path in sorted(_kept(whole) or ()):
        digest.update(path.encode(errors="surrogatepass"))
    return digest.hexdigest()


def checked(root: Path, folder: Path) -> str:
    """The folder's path; of a set that of its images.

    Raises:
        PrepError: it is none, or is where the set keeps what is brought into it.
    """
    whole = absolute(folder)
    if not whole.is_dir():
        raise PrepError(f"no folder {folder} of regularization images", "name a folder: --user-images FOLDER")
    real, own = Path(os.path.realpath(whole)), Path(os.path.realpath(root))
    if real == own:
        raise PrepError(
            f"{folder} is the set itself, whose images are trained on", "name another folder: --user-images FOLDER"
        )
    if real.is_relative_to(own / FOLDER):
        raise PrepError(
            f"{folder} is where the set keeps its regularization images itself",
            "put yours into a folder of their own, outside the set, and name that: --user-images FOLDER",
        )
    return str(whole / IMAGES if (whole / FILE).is_file() else whole)


def listed(manifest: Manifest, folder: Path) -> list[Found]:
    """Every file of the folder; of a set the images that it keeps, and what lies beside them."""
    whole = checked(manifest.root, folder)
    kept = _kept(whole)
    found = (sniffed(each) for each in scan((whole,), of_sets=True))
    return [each for each in found if kept is None or each.kind != IMAGE or _within(each, whole) in kept]


def _kept(images: str) -> set[str] | None:
    """The paths that are kept of the set whose images these are; None for any other folder."""
    root = Path(images).parent
    if Path(images).name != IMAGES or not (root / FILE).is_file():
        return None
    with Manifest.open(root) as other:
        return {image.path for image in other.kept()}


def _within(found: Found, images: str) -> str:
    return f"{IMAGES}/{Path(found.path).relative_to(images).as_posix()}"
