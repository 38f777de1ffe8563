"""The values of decisions, each in its own type, without reasons, which take as long to read again."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from pipeline.store.decisions import codec
from pipeline.store.decisions.bucket import Bucket
from pipeline.store.decisions.regularization import RegularizationAssignment
from pipeline.store.decisions.repeats import Repeats
from pipeline.store.manifest import Manifest


def _values(manifest: Manifest, field: str) -> Iterator[tuple[str, Any]]:
    rows = manifest.db.execute("SELECT path, value FROM decisions WHERE field=? ORDER BY path", (field,))
    return ((path, codec.load(field, value)) for path, value in rows)


def buckets(manifest: Manifest) -> dict[str, Bucket]:
    return dict(_values(manifest, "bucket"))


def repeats(manifest: Manifest) -> dict[str, Repeats]:
    return dict(_values(manifest, "multiplier"))


def captions(manifest: Manifest) -> dict[str, str]:
    """Path → the caption that was decided, which a person's is too."""
    return dict(_values(manifest, "caption"))


def regularization(manifest: Manifest) -> dict[str, RegularizationAssignment]:
    return dict(_values(manifest, "regularization"))


def excluded(manifest: Manifest) -> frozenset[str]:
    """Images and regularization images that `check` does not keep."""
    rows = manifest.db.execute("SELECT path FROM decisions WHERE field='keep' AND value='false'")
    return frozenset(path for (path,) in rows)
