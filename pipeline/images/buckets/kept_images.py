"""The kept images of a set in arrays: their sizes, where their detail lies, and how often an epoch shows them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pipeline.core.errors import PrepError
from pipeline.images.buckets.buckets import Sizes
from pipeline.images.buckets.detail_profile import LENGTH, STRIPS
from pipeline.store.manifest import Manifest
from pipeline.store.values import read
from pipeline.store.values.repeats import Repeats


@dataclass(frozen=True, slots=True)
class KeptImages:
    """What is known of the N kept images, in arrays, as records by the hundred thousand slow Python down.

    `images` (N, 2) are their sizes, `strips` (N, 2, 32) the detail per column and row strip, zeros where `seen` (N,)
    says that it was not measured.
    """

    paths: list[str]
    sources: list[str]
    images: Sizes
    transparent: list[bool]
    strips: NDArray[np.uint8]
    seen: NDArray[np.bool_]


def kept_images(manifest: Manifest) -> KeptImages:
    """Of what was measured only these four columns, as reading whole records takes as long as all the rest.

    Raises:
        PrepError: an image was not measured.
    """
    kept = manifest.kept()
    measured = manifest.measured("width", "height", "transparent", "focus")
    found = [measured.get(image.content, (0, 0, 0, "")) for image in kept]
    unknown = [image.path for image, each in zip(kept, found, strict=True) if not (each[0] and each[1])]
    if unknown:
        raise PrepError(
            f"{len(unknown)} images were not measured, such as {unknown[0]}", f"run: prep check {manifest.root}"
        )
    profiles = [each[3] for each in found]
    seen = np.array([len(profile) == LENGTH for profile in profiles], bool)
    strips = np.zeros((len(found), 2, STRIPS), np.uint8)
    digits = bytes.fromhex("".join(profile for profile in profiles if len(profile) == LENGTH))
    strips[seen] = np.frombuffer(digits, np.uint8).reshape(-1, 2, STRIPS)
    return KeptImages(
        [image.path for image in kept],
        [image.source for image in kept],
        np.array([each[:2] for each in found], np.int64).reshape(-1, 2),
        [bool(each[2]) for each in found],
        strips,
        seen,
    )


def exposures(manifest: Manifest, paths: list[str]) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """(N,) exact and (N,) whole exposures per epoch; 1 before `balance` ran. Only the report depends on them."""
    decided, once = read.repeats(manifest), Repeats(1.0, 1)
    found = [decided.get(path, once) for path in paths]
    return np.array([each.exact for each in found], float), np.array([each.exported for each in found], np.int64)
