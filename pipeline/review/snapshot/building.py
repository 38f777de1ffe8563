"""A snapshot made from the record."""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray

from pipeline.review.snapshot.snapshot import PERSON_FIELDS, Snapshot, TagColumn
from pipeline.store.caption_files import plain
from pipeline.store.manifest import Manifest
from pipeline.store.reasons.check import DUPLICATES
from pipeline.store.records import Decision, Image
from pipeline.tags.editor.spelling import alike
from pipeline.tags.vocabulary.aliases import split_caption

MEASURED = ("width", "height", "sharpness", "contrast")
LACKED = ("bucket", "caption", "tags", "repeats", "regularization")


def build(manifest: Manifest, version: int, id_of: Callable[[str], int]) -> Snapshot:
    """Everything that questions are asked about.

    Args:
        id_of: gives a path its number, always the same.
    """
    images = manifest.images()
    ids = [id_of(image.path) for image in images]
    place = {image.path: row for row, image in enumerate(images)}
    verdicts = manifest.decisions("keep")
    rows = [verdicts.get(image.path) for image in images]
    kept = np.array([row is None or bool(row.value) for row in rows], np.bool_)
    texts = {path: plain(text) for path, text in manifest.manual_captions().items()} | dict(manifest.values("caption"))
    held = [texts.get(image.path, "") for image in images]
    flags = dict(manifest.values("flags"))
    edited = np.zeros(len(images), np.bool_)
    for field in PERSON_FIELDS:
        edited[[place[path] for path, _ in manifest.values(field) if path in place]] = True
    contradicting = np.zeros(len(images), np.bool_)
    contradicting[[place[path] for path, found in manifest.values("contradictions") if found and path in place]] = True
    return Snapshot(
        version,
        ids,
        {number: row for row, number in enumerate(ids)},
        images,
        {image.content: row for row, image in enumerate(images)},
        [image.concept for image in images],
        kept,
        rows,
        held,
        _tags(held),
        [tuple(flags.get(image.path, ())) for image in images],
        contradicting,
        _figures(manifest, images, place),
        _groups(images, verdicts, place),
        edited,
        _lacks(manifest, images, kept),
    )


def _tags(texts: Sequence[str]) -> TagColumn:
    places: dict[str, list[int]] = {}
    names: dict[str, str] = {}
    counts = np.zeros(len(texts), np.int64)
    for row, text in enumerate(texts):
        tags = _tags_of(text)
        counts[row] = len(tags)
        for key, tag in tags:
            names.setdefault(key, tag)
            found = places.setdefault(key, [])
            if not found or found[-1] != row:
                found.append(row)
    return TagColumn({key: np.array(found, np.int64) for key, found in places.items()}, names, counts)


@functools.lru_cache(maxsize=1 << 17)
def _tags_of(text: str) -> tuple[tuple[str, str], ...]:
    """(what spellings have in common, the tag) of a caption; most captions are as they were when the record changes."""
    return tuple((alike(tag), tag) for tag in dict.fromkeys(split_caption(text)))


def _figures(manifest: Manifest, images: Sequence[Image], place: dict[str, int]) -> dict[str, NDArray[np.float64]]:
    measured = manifest.measured(*MEASURED)
    nothing = (np.nan,) * len(MEASURED)
    table = np.array([measured.get(image.content, nothing) for image in images], np.float64).reshape(-1, len(MEASURED))
    found = dict(zip(MEASURED, table.T, strict=True))
    for name in ("repeats", "loss"):
        found[name] = np.full(len(images), np.nan)
    for path, repeats in manifest.values("repeats"):
        if path in place:
            found["repeats"][place[path]] = float(repeats.exact)
    for path, bucket in manifest.values("bucket"):
        if path in place:
            found["loss"][place[path]] = bucket.loss
    with np.errstate(divide="ignore", invalid="ignore"):
        found["side"] = np.minimum(found["width"], found["height"])
        found["area"] = found["width"] * found["height"]
        found["ratio"] = found["width"] / found["height"]
    return found


def _groups(images: Sequence[Image], verdicts: dict[str, Decision], place: dict[str, int]) -> NDArray[np.int64]:
    """Copies belong to the image that is kept instead of them, over as many steps as it takes."""
    groups = np.full(len(images), -1, np.int64)
    numbers: dict[str, int] = {}
    for image in images:
        path, seen = image.path, {image.path}
        while (row := verdicts.get(path)) is not None and row.reason in DUPLICATES and row.data["of"] not in seen:
            path = str(row.data["of"])
            seen.add(path)
        if path != image.path and path in place:
            number = numbers.setdefault(path, len(numbers))
            groups[place[image.path]] = groups[place[path]] = number
    return groups


def _lacks(manifest: Manifest, images: Sequence[Image], kept: NDArray[np.bool_]) -> dict[str, NDArray[np.bool_]]:
    found = {}
    for field in LACKED:
        without = set(manifest.without(field))
        found[field] = np.array([image.path in without for image in images], np.bool_) & kept
    return found
