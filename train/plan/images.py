"""What is to be trained on, as a plan reads it of the record."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from pipeline.core.errors import PrepError
from pipeline.store.caption_files import captions
from pipeline.store.manifest import Manifest
from pipeline.store.readiness import all_decided
from pipeline.store.records import Image
from train.plan.latents import cached_sizes, reg_image_files, used_reg_images

if TYPE_CHECKING:
    from train.data.sampler import SampledImage
    from train.options.recipe import Recipe


MOST_NAMED = 3
"""How many images or sizes a warning names."""


@dataclass(frozen=True, slots=True, eq=False)
class TrainedImages:
    """What is to be trained on, each in the order of the images; `buckets` are the decisions' values, `regularization
    images` the sizes of images that have regularization images, `twin_files` how many of these there are, `latents`
    the sizes of everything that is cached. `held` images are measured on alone, `watched` ones trained on and measured
    on too."""

    kept: tuple[Image, ...]
    captions: tuple[str, ...]
    buckets: tuple[Mapping[str, Any], ...]
    multipliers: tuple[float, ...]
    reg_images: tuple[tuple[int, int], ...]
    reg_image_files: int
    latents: tuple[tuple[int, int], ...]
    held: tuple[str, ...] = ()
    watched: tuple[str, ...] = ()
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
    from train.evaluation.holdout import parted

    texts, multipliers = captions(manifest), manifest.decisions("multiplier")
    buckets = {path: row.value for path, row in manifest.decisions("bucket").items()}
    reg_images = used_reg_images(manifest) if options.dataset.regularized else {}
    parts = parted(
        manifest,
        {image.path: image.concept for image in kept},
        {image.path: multipliers[image.path].value["exact"] for image in kept},
        options.validation,
        options.run.seed,
    )
    held = frozenset(parts.held)
    cached = [image for image in kept if image.path in parts.multipliers or image.path in held]
    kept = tuple(image for image in kept if image.path in parts.multipliers)
    return TrainedImages(
        kept,
        tuple(texts[image.path] for image in kept),
        tuple(buckets[image.path] for image in kept),
        tuple(parts.multipliers[image.path] for image in kept),
        tuple(tuple(buckets[image.path]["size"]) for image in kept if image.path in reg_images),
        reg_image_files(kept, reg_images),
        cached_sizes(manifest, cached, buckets, texts, reg_images, options.dataset),
        parts.held,
        parts.watched,
        parts.remarks,
    )


def entries(found: TrainedImages) -> list[SampledImage]:
    from train.data.sampler import SampledImage

    return [
        SampledImage(image.path, (bucket["size"][0], bucket["size"][1]), multiplier)
        for image, bucket, multiplier in zip(found.kept, found.buckets, found.multipliers, strict=True)
    ]
