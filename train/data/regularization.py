"""The regularization images of a set, as they are trained on. No torch here."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

from pipeline.core.files import file_digest
from pipeline.store.manifest import Manifest
from pipeline.store.values import read
from pipeline.store.values.regularization import RegularizationImage
from train.data.augmentation import ImageView
from train.optimization.options import Pair, Pairing

AT_ONCE = 256
"""Files that are hashed before their hashes are recorded, so that one who stops it need not begin again."""
ProgressCallback = Callable[[str, int, int], None]


@dataclass(frozen=True, slots=True)
class RegImage:
    """A regularization image. One that is `matched` was made for its image, another a person gave; a `preserved` one is its
    image itself, of which the base model's own prediction is learned. `pair` is what it shares with its image in each
    exposure: noise and timestep, the timestep, or the bucket alone. It is shown in a `share` of its image's exposures."""

    image: ImageView
    caption: str
    matched: bool = True
    preserved: bool = False
    pair: Pairing = "auto"
    share: float = 1.0

    @property
    def shared(self) -> Pair:
        """What it shares with its image."""
        if self.pair != "auto":
            return self.pair
        return "noise" if self.matched else "bucket"

    @property
    def told(self) -> list[str | bool]:
        """What a hash of the dataset knows it by; `pair` and `share` are options of the run."""
        return [self.image.key, self.caption, self.matched, *([True] if self.preserved else [])]


@dataclass(frozen=True, slots=True)
class RegImages:
    """Image → its regularization images, and the paths of those whose file is not there."""

    by_image: Mapping[str, tuple[RegImage, ...]]
    lost: tuple[str, ...]


def read_reg_images(manifest: Manifest, pair: Pairing = "auto", share: float = 1.0) -> RegImages:
    """The regularization images of every image. One that is lost has its path for content.

    Args:
        pair: what each shares with its image; auto is the noise and timestep for those made for it, the bucket for others.
        share: the share of exposures in which they are shown.
    """
    used = _used(manifest)
    paths = [reg_image.path for reg_images in used.values() for reg_image in reg_images]
    contents, lost = file_contents(manifest, paths)
    found = {
        path: tuple(
            RegImage(
                ImageView(
                    contents.get(reg_image.path, reg_image.path), manifest.root / reg_image.path, reg_image.cropping
                ),
                reg_image.caption,
                reg_image.matched,
                reg_image.preserved,
                pair,
                share,
            )
            for reg_image in reg_images
        )
        for path, reg_images in used.items()
    }
    return RegImages(found, tuple(lost))


def hash_reg_images(manifest: Manifest, progress: ProgressCallback) -> None:
    """Hash the regularization images that are new or changed, before they are read."""
    paths = [reg_image.path for reg_images in _used(manifest).values() for reg_image in reg_images]
    file_contents(manifest, paths, progress)


def _used(manifest: Manifest) -> dict[str, list[RegularizationImage]]:
    """Image → its regularization images, but for those that `check` found to be copies of images to be trained on."""
    copies = read.excluded(manifest)
    return {
        path: [reg_image for reg_image in assigned.images if reg_image.path not in copies]
        for path, assigned in read.regularization(manifest).items()
    }


def file_contents(
    manifest: Manifest, paths: Iterable[str], progress: ProgressCallback | None = None
) -> tuple[dict[str, str], list[str]]:
    """(path → hash of the file, paths that are not there). A file is read only if its size or time is not the one it was
    last read with."""
    known, found, stamps, missing = manifest.known_files(), dict[str, str](), dict[str, tuple[int, int]](), []
    root = str(manifest.root)
    for path in dict.fromkeys(paths):
        try:
            stamp = os.stat(f"{root}/{path}")  # noqa: PTH116, making a Path takes far longer, and there can be very many
        except OSError:
            missing.append(path)
            continue
        stamps[path] = stamp.st_size, stamp.st_mtime_ns
        row = known.get(path)
        if row is not None and row[:2] == stamps[path]:
            found[path] = row[2]
    new = [path for path in stamps if path not in found]
    with ThreadPoolExecutor(4) as threads:
        for start in range(0, len(new), AT_ONCE):
            some = new[start : start + AT_ONCE]
            hashes = dict(zip(some, threads.map(file_digest, [manifest.root / path for path in some]), strict=True))
            manifest.remember_files((path, *stamps[path], content) for path, content in hashes.items())
            found |= hashes
            if progress is not None:
                progress("hashing regularization images", start + len(some), len(new))
    return found, missing
