"""What the manifest says is to be trained on."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from pipeline.decided import all_decided
from pipeline.errors import PrepError
from pipeline.files import file_digest
from pipeline.manifest import Manifest
from pipeline.records import Decision
from train.captions import spoken, tags_of
from train.sampler import Entry

if TYPE_CHECKING:
    from train.latents import Picture


@dataclass(frozen=True, slots=True)
class Example:
    """A kept picture with everything training needs. `triggers` are its trigger words, which lead the caption; `twin` is
    its matched regularization picture, whose caption may lack them."""

    entry: Entry
    concept: str
    picture: Picture
    caption: str
    triggers: tuple[str, ...]
    twin: Picture | None
    twin_caption: str


def examples(manifest: Manifest, twins: bool) -> tuple[Example, ...]:
    """Every kept picture in order of path.

    Raises:
        PrepError: the set is empty, or a stage before training has not run for all of them.
    """
    from train.latents import Picture  # with torch, which the rest of this file can do without

    kept = manifest.kept()
    fields = ("bucket", "caption", "multiplier", "twin", "tags", "keep")
    decided = {field: manifest.decisions(field) for field in fields}
    if not kept:
        raise PrepError(f"the set {manifest.root} has no kept picture", f"see why with: prep log {manifest.root}")
    all_decided(manifest)
    found = []
    for image in kept:
        bucket = decided["bucket"][image.path].value
        twin = _used(decided["twin"].get(image.path), decided["keep"]) if twins else None
        width, height = bucket["size"]
        found.append(
            Example(
                entry=Entry(image.path, (width, height), decided["multiplier"][image.path].value["exact"]),
                concept=image.concept,
                picture=Picture(image.content, manifest.root / image.path, bucket),
                caption=decided["caption"][image.path].value,
                triggers=_triggers(decided["tags"].get(image.path)),
                twin=_twin_picture(manifest.root, twin.value, (width, height)) if twin else None,
                twin_caption=twin.value["caption"] if twin else "",
            )
        )
    return tuple(found)


def _triggers(row: Decision | None) -> tuple[str, ...]:
    """The words that curation put in front, from its `tags` decision."""
    return (
        tuple(tag for tag, action, reason in row.value if (action, reason) == ("added", "trigger word")) if row else ()
    )


def _used(twin: Decision | None, verdicts: Mapping[str, Decision]) -> Decision | None:
    """The row of a twin, unless `check` found that it is a copy of a picture to be trained on."""
    verdict = verdicts.get(twin.value["path"]) if twin else None
    return None if verdict is not None and not verdict.value else twin


def _twin_picture(root: Path, twin: dict[str, str], size: tuple[int, int]) -> Picture:
    from train.latents import Picture

    file = root / twin["path"]
    if not file.is_file():
        raise PrepError(
            f"the regularization picture {twin['path']} is not there", f"make it again with: prep regularize {root}"
        )
    whole = {"size": list(size), "scaled": list(size), "crop": [0, 0, *size], "loss": 0.0}
    return Picture(file_digest(file), file, whole)


def tag_frequency(found: tuple[Example, ...], marks: tuple[str, ...] = ("|||",)) -> dict[str, dict[str, int]]:
    """Concept → tag → in how many captions it stands, for the adapter's metadata; the marks that part captions are no
    tags."""
    counts: dict[str, dict[str, int]] = {}
    for example in found:
        tags = counts.setdefault(example.concept, {})
        for tag in tags_of(spoken(example.caption, marks)):
            tags[tag] = tags.get(tag, 0) + 1
    return counts


def dataset_digest(found: tuple[Example, ...]) -> str:
    """A hash of everything about the examples that training depends on."""
    rows = [
        [
            example.entry.key,
            example.entry.multiplier,
            example.picture.content,
            example.picture.bucket,
            example.caption,
            example.triggers,
            example.twin.content if example.twin else None,
            example.twin_caption,
        ]
        for example in found
    ]
    return hashlib.sha256(json.dumps(rows, sort_keys=True).encode()).hexdigest()
