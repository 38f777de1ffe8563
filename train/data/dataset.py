"""What the manifest says is to be trained on."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from pipeline.core.errors import PrepError
from pipeline.core.files import file_digest
from pipeline.store.manifest import Manifest
from pipeline.store.readiness import all_decided
from pipeline.store.values import read
from train.data.augmentation import ImageView, Seen, Subject, reg_image_view, views
from train.data.caption_augmentation import caption_read, spoken, tags_of
from train.data.options import AugmentationOptions, DatasetOptions
from train.data.sampler import SampledImage
from train.data.subject_position import subject_of

NAMED = 10
"""How many missing regularization images an error names."""


@dataclass(frozen=True, slots=True)
class RegImage:
    """A regularization image. One that is `matched` was made for its image and shares the noise and timestep of each
    showing; another, which a person gave, has its own."""

    image: ImageView
    caption: str
    matched: bool = True


@dataclass(frozen=True, slots=True)
class Example:
    """A kept image with everything training needs. `triggers` are its trigger words, which lead the caption;
    `regularization images` its regularization images, which take turns and whose captions may lack them; `views` what
    is shown of it, the image itself if none are given."""

    entry: SampledImage
    concept: str
    image: ImageView
    caption: str
    triggers: tuple[str, ...]
    reg_images: tuple[RegImage, ...] = ()
    views: tuple[ImageView, ...] = ()

    def shown(self) -> tuple[ImageView, ...]:
        return self.views or (self.image,)

    def images(self) -> Iterator[ImageView]:
        """Everything of it that may be shown in a run: its views, its regularization images as they go with them, and
        the image itself, which is validated on."""
        yield self.image
        yield from self.views
        for reg_image in self.reg_images:
            yield reg_image.image
            yield from (reg_image_view(reg_image.image, view) for view in self.views)

    def reg_image(self, earlier: int) -> RegImage | None:
        """The regularization image for a showing that comes after `earlier` ones of the same image."""
        return self.reg_images[earlier % len(self.reg_images)] if self.reg_images else None


def examples(manifest: Manifest, options: DatasetOptions) -> tuple[Example, ...]:
    """Every kept image in order of path, with its regularization images unless their weight is 0.

    Raises:
        PrepError: the set is empty, a stage before training has not run for all of them, or regularization images are missing.
    """
    kept = manifest.kept()
    if not kept:
        raise PrepError(f"the set {manifest.root} has no kept image", f"see why with: prep log {manifest.root}")
    all_decided(manifest)
    buckets, captions, repeats = read.buckets(manifest), read.captions(manifest), read.repeats(manifest)
    triggers, subjects, measured = (
        manifest.trigger_words(),
        _subjects(manifest, options.augmentation),
        manifest.measured("width", "height"),
    )
    reg_images = _reg_images(manifest) if options.regularized else {}
    found = []
    for image in kept:
        bucket, caption = buckets[image.path], captions[image.path]
        view = ImageView(image.content, manifest.root / image.path, bucket, pixels=_pixels(measured, image.content))
        seen = views(
            Seen(image.path, view, caption_read(caption, options.captions), subjects.get(image.path)),
            options.augmentation,
            options.seed,
        )
        found.append(
            Example(
                entry=SampledImage(image.path, bucket.size, repeats[image.path].exact),
                concept=image.concept,
                image=view,
                caption=caption,
                triggers=triggers.get(image.path, ()),
                reg_images=reg_images.get(image.path, ()),
                views=() if seen == (view,) else seen,
            )
        )
    return tuple(found)


def _pixels(measured: Mapping[str, tuple[int, ...]], content: str) -> tuple[int, int] | None:
    width, height = measured.get(content, (0, 0))
    return (width, height) if width and height else None


def _subjects(manifest: Manifest, options: AugmentationOptions) -> dict[str, Subject]:
    """Image → where its subject is, as far as that is known; read only where it is enlarged about it."""
    if options.face_crop is None:
        return {}
    measured, buckets = manifest.measured("width", "height", "focus"), read.buckets(manifest)
    found = {
        image.path: subject_of(image.source, buckets[image.path], *measured.get(image.content, (0, 0, "")))
        for image in manifest.kept()
        if image.path in buckets
    }
    return {path: subject for path, subject in found.items() if subject is not None}


def seen_images(manifest: Manifest, options: DatasetOptions) -> tuple[Seen, ...]:
    """What views are decided from, for every kept image with a bucket and a caption, as a plan tells of it; nothing
    where the options leave nothing to tell."""
    placed = options.augmentation
    if not (placed.flip or placed.random_crop or placed.face_crop):
        return ()
    buckets, captions = read.buckets(manifest), read.captions(manifest)
    subjects = _subjects(manifest, options.augmentation)
    return tuple(
        Seen(
            image.path,
            ImageView(image.content, manifest.root / image.path, buckets[image.path]),
            caption_read(captions[image.path], options.captions),
            subjects.get(image.path),
        )
        for image in manifest.kept()
        if image.path in buckets and image.path in captions
    )


# --- regularization images


def _reg_images(manifest: Manifest) -> dict[str, tuple[RegImage, ...]]:
    """Image → its regularization images, but for those that `check` found to be copies of images to be trained on."""
    copies = read.excluded(manifest)
    used = {
        path: [reg_image for reg_image in assigned.images if reg_image.path not in copies]
        for path, assigned in read.regularization(manifest).items()
    }
    contents = _contents(manifest, [reg_image.path for reg_images in used.values() for reg_image in reg_images])
    return {
        path: tuple(
            RegImage(
                ImageView(contents[reg_image.path], manifest.root / reg_image.path, reg_image.cropping),
                reg_image.caption,
                reg_image.matched,
            )
            for reg_image in reg_images
        )
        for path, reg_images in used.items()
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
    if read:
        manifest.remember_files((path, *stamps[path], content) for path, content in read.items())
    return found | read


def _refuse_missing(root: Path, missing: Sequence[str]) -> None:
    if missing:
        more = [f"… and {len(missing) - NAMED} more"] if len(missing) > NAMED else []
        raise PrepError(
            "\n".join([f"the regularization image {path} is not there" for path in missing[:NAMED]] + more),
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
            example.entry.repeats,
            example.image.content,
            example.image.bucket.to_json(),
            example.caption,
            example.triggers,
            [view.key for view in example.views],
            [[reg_image.image.key, reg_image.caption, reg_image.matched] for reg_image in example.reg_images],
        ]
        for example in found
    ]
    return hashlib.sha256(json.dumps(rows, sort_keys=True).encode()).hexdigest()
