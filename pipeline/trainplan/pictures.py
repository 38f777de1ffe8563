"""What is to be trained on, as a plan reads it of the record."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from pipeline.captions import captions
from pipeline.decided import all_decided
from pipeline.errors import PrepError
from pipeline.manifest import Manifest
from pipeline.records import Image
from pipeline.trainplan.latents import cached_sizes, twin_files, used_twins

if TYPE_CHECKING:
    from train.recipe import Recipe
    from train.sampler import Entry


MOST_NAMED = 3
"""How many pictures or sizes a warning names."""


@dataclass(frozen=True, slots=True, eq=False)
class Pictures:
    """What is to be trained on, each in the order of the pictures; `buckets` are the decisions' values, `twins` the sizes
    of pictures that have regularization twins, `twin_files` how many of these there are, `latents` the sizes of everything
    that is cached. `held` pictures are measured on alone, `watched` ones trained on and measured on too."""

    kept: tuple[Image, ...]
    captions: tuple[str, ...]
    buckets: tuple[Mapping[str, Any], ...]
    multipliers: tuple[float, ...]
    twins: tuple[tuple[int, int], ...]
    twin_files: int
    latents: tuple[tuple[int, int], ...]
    held: tuple[str, ...] = ()
    watched: tuple[str, ...] = ()
    remarks: tuple[str, ...] = ()


def pictures_of(manifest: Manifest, options: Recipe) -> Pictures:
    """Everything that is read of the record.

    Raises:
        PrepError: the set is empty, or a stage before training has not run for all of it.
    """
    kept = manifest.kept()
    if not kept:
        raise PrepError(f"the set {manifest.root} has no kept picture", f"see why with: prep log {manifest.root}")
    all_decided(manifest)
    from train.job import parted

    texts, multipliers = captions(manifest), manifest.decisions("multiplier")
    buckets = {path: row.value for path, row in manifest.decisions("bucket").items()}
    twins = used_twins(manifest) if options.prior_loss_weight else {}
    parts = parted(
        manifest,
        {image.path: image.concept for image in kept},
        {image.path: multipliers[image.path].value["exact"] for image in kept},
        options,
    )
    held = frozenset(parts.held)
    cached = [image for image in kept if image.path in parts.multipliers or image.path in held]
    kept = tuple(image for image in kept if image.path in parts.multipliers)
    return Pictures(
        kept,
        tuple(texts[image.path] for image in kept),
        tuple(buckets[image.path] for image in kept),
        tuple(parts.multipliers[image.path] for image in kept),
        tuple(tuple(buckets[image.path]["size"]) for image in kept if image.path in twins),
        twin_files(kept, twins),
        cached_sizes(manifest, cached, buckets, texts, twins, options),
        parts.held,
        parts.watched,
        parts.remarks,
    )


def entries(found: Pictures) -> list[Entry]:
    from train.sampler import Entry

    return [
        Entry(image.path, (bucket["size"][0], bucket["size"][1]), multiplier)
        for image, bucket, multiplier in zip(found.kept, found.buckets, found.multipliers, strict=True)
    ]
