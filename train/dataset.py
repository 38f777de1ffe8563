"""What the manifest says is to be trained on."""

from __future__ import annotations

import hashlib
import json
import os
import sqlite3
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pipeline.decided import all_decided
from pipeline.errors import PrepError
from pipeline.files import file_digest
from pipeline.manifest import Manifest
from pipeline.twins import every_twin, twin_bucket
from train.captions import spoken, tags_of
from train.sampler import Entry
from train.subject import subject_of
from train.views import Picture, Seen, Subject, twin_view, views

if TYPE_CHECKING:
    from train.recipe import Recipe

NAMED = 10
"""How many missing twins an error names."""


@dataclass(frozen=True, slots=True)
class Twin:
    """A regularization picture. One that is `matched` was made for its picture and shares the noise and timestep of each
    showing; another, which a person gave, has its own."""

    picture: Picture
    caption: str
    matched: bool = True


@dataclass(frozen=True, slots=True)
class Example:
    """A kept picture with everything training needs. `triggers` are its trigger words, which lead the caption; `twins` its
    regularization pictures, which take turns and whose captions may lack them; `views` what is shown of it, the picture
    itself if none are given."""

    entry: Entry
    concept: str
    picture: Picture
    caption: str
    triggers: tuple[str, ...]
    twins: tuple[Twin, ...] = ()
    views: tuple[Picture, ...] = ()

    def shown(self) -> tuple[Picture, ...]:
        return self.views or (self.picture,)

    def pictures(self) -> Iterator[Picture]:
        """Everything of it that may be shown in a run: its views, its twins as they go with them, and the picture itself,
        which is validated on."""
        yield self.picture
        yield from self.views
        for twin in self.twins:
            yield twin.picture
            yield from (twin_view(twin.picture, view) for view in self.views)

    def twin(self, earlier: int) -> Twin | None:
        """The twin for a showing that comes after `earlier` ones of the same picture."""
        return self.twins[earlier % len(self.twins)] if self.twins else None


def examples(manifest: Manifest, recipe: Recipe) -> tuple[Example, ...]:
    """Every kept picture in order of path, with its twins unless their weight is 0.

    Raises:
        PrepError: the set is empty, a stage before training has not run for all of them, or twins are missing.
    """
    kept = manifest.kept()
    if not kept:
        raise PrepError(f"the set {manifest.root} has no kept picture", f"see why with: prep log {manifest.root}")
    all_decided(manifest)
    buckets, captions, multipliers = (_values(manifest, field) for field in ("bucket", "caption", "multiplier"))
    triggers, subjects, measured = (
        _triggers(manifest),
        _subjects(manifest, recipe),
        manifest.measured("width", "height"),
    )
    twins = _twins(manifest) if recipe.prior_loss_weight > 0 else {}
    found = []
    for image in kept:
        bucket, caption = buckets[image.path], captions[image.path]
        width, height = bucket["size"]
        picture = Picture(image.content, manifest.root / image.path, bucket, pixels=_pixels(measured, image.content))
        seen = views(Seen(image.path, picture, caption, subjects.get(image.path)), recipe)
        found.append(
            Example(
                entry=Entry(image.path, (width, height), multipliers[image.path]["exact"]),
                concept=image.concept,
                picture=picture,
                caption=caption,
                triggers=triggers.get(image.path, ()),
                twins=twins.get(image.path, ()),
                views=() if seen == (picture,) else seen,
            )
        )
    return tuple(found)


def _pixels(measured: Mapping[str, tuple[int, ...]], content: str) -> tuple[int, int] | None:
    width, height = measured.get(content, (0, 0))
    return (width, height) if width and height else None


def _values(manifest: Manifest, field: str) -> dict[str, Any]:
    """Path → the value of a decision; without its reason, which takes as long to read again."""
    rows = manifest.db.execute("SELECT path, value FROM decisions WHERE field=?", (field,))
    return {path: json.loads(value) for path, value in rows}


def _triggers(manifest: Manifest) -> dict[str, tuple[str, ...]]:
    """Picture → the words that curation put in front; only rows that name any are read, as tags can be very many."""
    rows = manifest.db.execute(
        "SELECT path, value FROM decisions WHERE field='tags' AND instr(value, ?)", ('"trigger word"',)
    )
    return {
        path: tuple(tag for tag, *why in json.loads(value) if why == ["added", "trigger word"]) for path, value in rows
    }


def _subjects(manifest: Manifest, recipe: Recipe) -> dict[str, Subject]:
    """Picture → where its subject is, as far as that is known; read only where the recipe enlarges about it."""
    if recipe.face_crop is None:
        return {}
    measured, buckets = manifest.measured("width", "height", "focus"), manifest.decisions("bucket")
    found = {
        image.path: subject_of(image.source, buckets[image.path].value, *measured.get(image.content, (0, 0, "")))
        for image in manifest.kept()
        if image.path in buckets
    }
    return {path: subject for path, subject in found.items() if subject is not None}


def seen_pictures(manifest: Manifest, recipe: Recipe) -> tuple[Seen, ...]:
    """What views are decided from, for every kept picture with a bucket and a caption, as a plan tells of it; nothing
    where the recipe leaves nothing to tell."""
    if not (recipe.flip or recipe.random_crop or recipe.face_crop):
        return ()
    buckets, captions = manifest.decisions("bucket"), manifest.decisions("caption")
    subjects = _subjects(manifest, recipe)
    return tuple(
        Seen(
            image.path,
            Picture(image.content, manifest.root / image.path, buckets[image.path].value),
            captions[image.path].value,
            subjects.get(image.path),
        )
        for image in manifest.kept()
        if image.path in buckets and image.path in captions
    )


# --- twins


def _twins(manifest: Manifest) -> dict[str, tuple[Twin, ...]]:
    """Picture → its twins, but for those that `check` found to be copies of pictures to be trained on."""
    copies = {
        path for (path,) in manifest.db.execute("SELECT path FROM decisions WHERE field='keep' AND value='false'")
    }
    used = {
        path: [twin for twin in every_twin(value) if twin["path"] not in copies]
        for path, value in _values(manifest, "twin").items()
    }
    contents = _contents(manifest, [value["path"] for values in used.values() for value in values])
    return {
        path: tuple(
            Twin(
                Picture(contents[value["path"]], manifest.root / value["path"], twin_bucket(value)),
                value["caption"],
                value.get("matched", True),
            )
            for value in values
        )
        for path, values in used.items()
    }


def _contents(manifest: Manifest, paths: Sequence[str]) -> dict[str, str]:
    """Path → hash of the file, which is read only if its size or time is not the one it was last read with."""
    known, found, stamps, missing = manifest.known_files(), {}, {}, []
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
    _refuse_missing(manifest.root, missing)
    new = [path for path in stamps if path not in found]
    with ThreadPoolExecutor(4) as threads:
        read = dict(zip(new, threads.map(file_digest, [manifest.root / path for path in new]), strict=True))
    _remember(manifest, [(path, *stamps[path], content) for path, content in read.items()])
    return found | read


def _remember(manifest: Manifest, rows: Sequence[tuple[str, int, int, str]]) -> None:
    """So that the next start is quicker; where the record cannot be written to, files are read again then."""
    if not rows:
        return
    try:
        with manifest.transaction():
            manifest.put_files(rows)
    except sqlite3.OperationalError:
        return


def _refuse_missing(root: Path, missing: Sequence[str]) -> None:
    if missing:
        more = [f"… and {len(missing) - NAMED} more"] if len(missing) > NAMED else []
        raise PrepError(
            "\n".join([f"the regularization picture {path} is not there" for path in missing[:NAMED]] + more),
            f"make it again with: prep regularize {root}",
        )


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
            [view.key for view in example.views],
            [[twin.picture.key, twin.caption, twin.matched] for twin in example.twins],
        ]
        for example in found
    ]
    return hashlib.sha256(json.dumps(rows, sort_keys=True).encode()).hexdigest()
