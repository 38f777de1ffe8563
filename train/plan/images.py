"""What is to be trained on, as a plan reads it of the record."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from pipeline.core.errors import PrepError
from pipeline.store.caption_files import captions
from pipeline.store.manifest import Manifest
from pipeline.store.readiness import all_decided
from pipeline.store.records import Image
from pipeline.store.values import read
from pipeline.store.values.bucket import Bucket
from train.plan.latents import cached_sizes, reg_image_files, used_reg_images

if TYPE_CHECKING:
    from train.data.sampler import SampledImage
    from train.options.recipe import Recipe


MOST_NAMED = 3
"""How many images or sizes a warning names."""


@dataclass(frozen=True, slots=True, eq=False)
class TrainedImages:
    """What is to be trained on, each in the order of the images; `buckets` how they are cropped, `regularization
    images` the sizes of images that have regularization images, `reg_image_files` how many of these there are, `latents`
    the sizes of everything that is cached. `held` images are measured on alone, `watched` ones trained on and measured
    on too."""

    kept: tuple[Image, ...]
    captions: tuple[str, ...]
    buckets: tuple[Bucket, ...]
    repeats: tuple[float, ...]
    reg_images: tuple[tuple[int, int], ...]
    reg_image_files: int
    latents: tuple[tuple[int, int], ...]
    held: tuple[str, ...] = ()
    train_subset: tuple[str, ...] = ()
    remarks: tuple[str, ...] = ()


def images_of(manifest: Manifest, options: Recipe) -> TrainedImages:
    """Everything that is read of the record.

    Raises:
        PrepError: the set is empty, or a stage before training has not run for all of it.
    """
    kept = manifest.kept()
    if not kept:
        raise PrepError(f"the set {manifest.root} has no kept image", f"see why with: prep log {manifest.root}")
    all_decided(manifest)
    from train.evaluation.holdout import split_examples

    texts, repeats, buckets = captions(manifest), read.repeats(manifest), read.buckets(manifest)
    reg_images = used_reg_images(manifest) if options.dataset.regularized else {}
    parts = split_examples(
        manifest,
        {image.path: image.concept for image in kept},
        {image.path: repeats[image.path].exact for image in kept},
        options.validation,
        options.run.seed,
    )
    held = frozenset(parts.held)
    cached = [image for image in kept if image.path in parts.repeats or image.path in held]
    kept = tuple(image for image in kept if image.path in parts.repeats)
    return TrainedImages(
        kept,
        tuple(texts[image.path] for image in kept),
        tuple(buckets[image.path] for image in kept),
        tuple(parts.repeats[image.path] for image in kept),
        tuple(buckets[image.path].size for image in kept if image.path in reg_images),
        reg_image_files(kept, reg_images),
        cached_sizes(manifest, cached, buckets, texts, reg_images, options.dataset),
        parts.held,
        parts.train_subset,
        parts.remarks,
    )


def entries(found: TrainedImages) -> list[SampledImage]:
    from train.data.sampler import SampledImage

    return [
        SampledImage(image.path, bucket.size, repeats)
        for image, bucket, repeats in zip(found.kept, found.buckets, found.repeats, strict=True)
    ]
