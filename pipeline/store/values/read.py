"""The values of decisions, each in its own type, without reasons, which take as long to read again."""

from __future__ import annotations

from pipeline.store.manifest import Manifest
from pipeline.store.values.bucket import Bucket
from pipeline.store.values.regularization import RegularizationAssignment
from pipeline.store.values.repeats import Repeats


def buckets(manifest: Manifest) -> dict[str, Bucket]:
    return dict(manifest.values("bucket"))


def repeats(manifest: Manifest) -> dict[str, Repeats]:
    return dict(manifest.values("repeats"))


def captions(manifest: Manifest) -> dict[str, str]:
    """Path → the caption that was decided, which a person's is too."""
    return dict(manifest.values("caption"))


def regularization(manifest: Manifest) -> dict[str, RegularizationAssignment]:
    return dict(manifest.values("regularization"))


def excluded(manifest: Manifest) -> set[str]:
    """Images and regularization images that `check` does not keep."""
    return manifest.paths_where("keep", False)
