"""What is trained on, read of the record by one function for the plan and the run. No torch here."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from pipeline.core.errors import PrepError
from pipeline.store.manifest import Manifest
from pipeline.store.records import Image
from pipeline.store.running.readiness import all_decided
from pipeline.store.values import read
from pipeline.store.values.bucket import Bucket
from train.data.augmentation import ImageView, Seen, Subject, reg_image_view, views
from train.data.caption_augmentation import caption_read, normalized, tags_of
from train.data.options import AugmentationOptions, DatasetOptions
from train.data.regularization import RegImage, RegImages, read_reg_images
from train.data.sampler import SampledImage
from train.data.subject_position import subject_of
from train.data.subset import subset

NAMED = 10
"""How many missing regularization images an error names."""


@dataclass(frozen=True, slots=True)
class Example:
    """A kept image with everything training needs. `triggers` are its trigger words, which lead the caption; `reg_images`
    its regularization images, which take turns and whose captions may lack them; `views` what is shown of it, the image
    itself if none are given."""

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
            if reg_image.preserved:
                continue
            yield reg_image.image
            yield from (reg_image_view(reg_image.image, view) for view in self.views)

    def reg_image(self, earlier: int) -> RegImage | None:
        """The regularization image for an exposure that comes after `earlier` ones of the same image."""
        return self.reg_images[earlier % len(self.reg_images)] if self.reg_images else None


@dataclass(frozen=True, slots=True, eq=False)
class Dataset:
    """A set as it is trained on, read once for the plan and the run.

    `examples` are the kept images in order of path, with their regularization images unless their weight is 0. `seen` is
    what the views of each were decided from, for a plan to tell of; empty where nothing varies them.
    `lost` are the files of assigned regularization images that are not there: in `examples` they stand with their path in
    the place of their content, so that they can be counted, and `not_ready` refuses them. `left_out` are the kept images that
    a person left out of this training.
    """

    examples: tuple[Example, ...]
    seen: tuple[Seen, ...] = ()
    lost: tuple[str, ...] = ()
    left_out: int = 0


def read_dataset(manifest: Manifest, options: DatasetOptions) -> Dataset:
    """What the record says is to be trained on, whether or not the files of regularization images are there.

    Raises:
        PrepError: the set is empty, or a stage before training has not run for all of it.
    """
    kept = manifest.kept()
    if not kept:
        raise PrepError(f"the set {manifest.root} has no kept image", f"see why with: prep log {manifest.root}")
    all_decided(manifest)
    whole, kept = len(kept), subset(kept, options.only, options.without)
    placed = options.augmentation
    buckets, captions, repeats = read.buckets(manifest), read.captions(manifest), read.repeats(manifest)
    triggers, subjects = manifest.trigger_words(), _subjects(manifest, kept, buckets, placed)
    measured = manifest.measured("width", "height")
    beside = RegImages({}, ())
    if options.regularized:
        beside = read_reg_images(manifest, options.pair, options.share)
    found, told_of = [], []
    for image in kept:
        bucket, caption = buckets[image.path], captions[image.path]
        view = ImageView(image.content, manifest.root / image.path, bucket, pixels=_pixels(measured, image.content))
        shown: tuple[ImageView, ...] = (view,)
        if placed.any:
            seen = Seen(image.path, view, caption_read(caption, options.captions), subjects.get(image.path))
            shown = views(seen, placed, options.seed)
            told_of.append(seen)
        found.append(
            Example(
                entry=SampledImage(image.path, bucket.size, repeats[image.path].exact),
                concept=image.concept,
                image=view,
                caption=caption,
                triggers=triggers.get(image.path, ()),
                reg_images=beside.by_image.get(image.path, ()) if options.prior.of(image.concept) else (),
                views=() if shown == (view,) else shown,
            )
        )
    used = {reg_image.image.content for example in found for reg_image in example.reg_images}
    lost = tuple(path for path in beside.lost if path in used)
    return Dataset(tuple(found), tuple(told_of), lost, whole - len(kept))


def not_ready(root: Path, dataset: Dataset) -> PrepError | None:
    """Why a dataset that was read cannot be trained on, None if it can: a plan tells it, a run raises it."""
    lost = dataset.lost
    if not lost:
        return None
    more = [f"… and {len(lost) - NAMED} more"] if len(lost) > NAMED else []
    return PrepError(
        "\n".join([f"the regularization image {path} is not there" for path in lost[:NAMED]] + more),
        f"make it again with: prep regularize {root}",
    )


def ready_dataset(manifest: Manifest, options: DatasetOptions) -> Dataset:
    """A dataset to train on.

    Raises:
        PrepError: as `read_dataset`, or regularization images are missing.
    """
    dataset = read_dataset(manifest, options)
    if problem := not_ready(manifest.root, dataset):
        raise problem
    return dataset


def examples(manifest: Manifest, options: DatasetOptions) -> tuple[Example, ...]:
    """Every kept image in order of path, as `ready_dataset` has them."""
    return ready_dataset(manifest, options).examples


def views_to_cache(found: Iterable[Example]) -> list[ImageView]:
    """Everything whose latent a run needs; one that several images have in common comes as often."""
    return [image for example in found for image in example.images()]


def _pixels(measured: Mapping[str, tuple[int, ...]], content: str) -> tuple[int, int] | None:
    width, height = measured.get(content, (0, 0))
    return (width, height) if width and height else None


def _subjects(
    manifest: Manifest, kept: Iterable[Image], buckets: Mapping[str, Bucket], options: AugmentationOptions
) -> dict[str, Subject]:
    """Image → where its subject is, as far as that is known; read only where it is enlarged about it."""
    if options.face_crop is None:
        return {}
    measured = manifest.measured("width", "height", "focus")
    found = {
        image.path: subject_of(image.source, buckets[image.path], *measured.get(image.content, (0, 0, "")))
        for image in kept
    }
    return {path: subject for path, subject in found.items() if subject is not None}


def tag_frequency(found: tuple[Example, ...], separators: tuple[str, ...] = ("|||",)) -> dict[str, dict[str, int]]:
    """Concept → tag → in how many captions it stands, for the adapter's metadata; the separators that part captions are no
    tags."""
    counts: dict[str, dict[str, int]] = {}
    for example in found:
        tags = counts.setdefault(example.concept, {})
        for tag in tags_of(normalized(example.caption, separators)):
            tags[tag] = tags.get(tag, 0) + 1
    return counts


def repeats_by_concept(found: tuple[Example, ...]) -> dict[str, list[float]]:
    """Concept → the repeats of each of its images, for the adapter's metadata."""
    repeats: dict[str, list[float]] = {}
    for example in found:
        repeats.setdefault(example.concept, []).append(example.entry.repeats)
    return repeats


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
            [reg_image.told for reg_image in example.reg_images],
        ]
        for example in found
    ]
    return hashlib.sha256(json.dumps(rows, sort_keys=True).encode()).hexdigest()
