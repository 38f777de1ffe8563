"""Decide which images to keep: readable, large enough, sharp, and no duplicates.

Nothing is deleted: every image gets a verdict with its reason, and another threshold judges anew without reading
a pixel again. Of equal and nearly equal images one is kept and the others name it. A regularization image that
is a copy of an image to be trained on is not used; run check again with --force once there are such images.
"""

from __future__ import annotations

import os
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Literal

from pipeline.concepts.regularization import known_files
from pipeline.core.errors import PrepError
from pipeline.images.buckets.background import colour
from pipeline.images.duplicate_verdicts import drop_copies, drop_regularization_duplicates
from pipeline.images.duplicates import Similarity
from pipeline.images.measuring import measure_all, measured_on
from pipeline.images.on_disk import missing_images
from pipeline.images.quality import QualityRules, is_named, judge
from pipeline.images.quality_warnings import warnings
from pipeline.store.manifest import Manifest
from pipeline.store.records import Plan
from pipeline.store.running.stage import ProgressCallback, Stage

NAME = "check"


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    min_side: int = 64
    """Shorter side in pixels below which an image is too small."""
    max_aspect: float = 4.0
    """Longer side over shorter side above which an image is too long."""
    max_upscale: float | None = None
    """How many times its width an image may be upscaled to reach the training area, such as 1.5; any if not given."""
    min_sharpness: float = 5.0
    """Variance of the Laplacian, at 256 pixels, below which an image is blurry; line art has hundreds, a soft
    watercolour 8 or more."""
    min_contrast: float = 4.0
    """Standard deviation of grey (0 to 127) below which an image is flat, showing next to nothing."""
    animated: Literal["first", "drop"] = "first"
    """Of an animation keep the first frame, or drop it."""
    letterbox: Literal["keep", "drop"] = "keep"
    """Keep or drop images with bars of one colour along opposite edges, as films have them; they would be learned."""
    duplicate_distance: int = 15
    """Bits out of 256 in which the PDQ hashes of near-duplicates differ at most; -1 keeps near-duplicates."""
    duplicate_change: float = 5.0
    """How far the spot where near-duplicates differ most may stand out from their other differences: another expression
    stands out 5 times and more, saving again mostly 4 at most. 1000 takes film frames for copies where only a mouth moved."""
    duplicates_within: Literal["set", "concept"] = "set"
    """Look for copies in the whole set, or only within each concept."""
    keep: tuple[str, ...] = ()
    """Path in the set, or pattern such as images/Mihari/*, to keep whatever is measured, if it can be read."""
    drop: tuple[str, ...] = ()
    """Path in the set, or pattern, to leave out."""
    resolution: int = field(default=512, metadata={"section": "bucket"})
    """Side in pixels of the square whose area images are trained at."""
    background: str = field(default="white", metadata={"section": "bucket"})
    """Colour behind transparent images, a name or #rrggbb: what they are trained on, and so what they are judged on."""

    def __post_init__(self) -> None:
        from pipeline.images.hash_index import MAX_RADIUS

        if self.min_side < 1:
            raise PrepError(f"min_side is {self.min_side}", "give 1 or more pixels")
        if self.max_aspect < 1:
            raise PrepError(f"max_aspect is {self.max_aspect}", "longer over shorter side is never below 1")
        if self.max_upscale is not None and self.max_upscale < 1:
            raise PrepError(f"max_upscale is {self.max_upscale}", "give 1, for no upscaling at all, or more")
        if self.min_sharpness < 0 or self.min_contrast < 0:
            raise PrepError(
                f"min_sharpness is {self.min_sharpness}, min_contrast is {self.min_contrast}", "give 0 or more"
            )
        if not -1 <= self.duplicate_distance <= MAX_RADIUS:
            raise PrepError(
                f"duplicate_distance is {self.duplicate_distance}",
                f"give -1 to {MAX_RADIUS} bits; 15 finds what was saved again, {MAX_RADIUS} is loose",
            )
        colour(self.background)
        if self.duplicate_change < 0:
            raise PrepError(f"duplicate_change is {self.duplicate_change}", "give 0 or more; 5 is usual")


def observe(manifest: Manifest, options: Options) -> str:
    """Which images are not where they should be."""
    return "\n".join(sorted(missing_images(manifest.root, manifest.images())))


def measure(manifest: Manifest, options: Options, progress: ProgressCallback) -> None:
    """Measure every content that was not measured yet; a batch that is done stays done."""
    from pipeline.images.measurement import measuring_many

    background = colour(options.background)
    images, known = manifest.images(), measured_on(manifest, background)
    missing = missing_images(manifest.root, images)
    todo = {
        image.content: manifest.root / image.path
        for image in reversed(images)
        if image.content not in known and image.path not in missing
    }
    count = min(8, os.cpu_count() or 1)
    with measuring_many(count), ThreadPoolExecutor(count) as threads:
        try:
            known_files.hash_new(manifest, threads, progress)
            for reg_image in known_files.known_images(manifest):
                if reg_image.content not in known:
                    todo.setdefault(reg_image.content, manifest.root / reg_image.path)
            measure_all(manifest, threads, todo, background, progress)
        finally:
            threads.shutdown(cancel_futures=True)


def plan(manifest: Manifest, options: Options) -> Plan:
    """One verdict for every image, with the figures behind it."""
    images, measured = manifest.images(), manifest.measurements()
    missing, rules = missing_images(manifest.root, images), rules_of(options)
    chosen = dict(manifest.values("manual_keep"))
    verdicts = {
        image.path: judge(
            image, None if image.path in missing else measured.get(image.content), rules, chosen.get(image.path)
        )
        for image in images
    }
    standing = [image for image in images if verdicts[image.path].value]
    similarity = Similarity(options.duplicate_distance, options.duplicate_change, options.resolution**2)
    within_concepts = options.duplicates_within == "concept"
    duplicates = drop_copies(
        standing,
        measured,
        similarity,
        lambda image: chosen.get(image.path, is_named(image.path, options.keep)),
        within_concepts,
    )
    verdicts |= {row.path: row for row in duplicates}
    kept = [image for image in standing if verdicts[image.path].value]
    reg_images = drop_regularization_duplicates(known_files.known_images(manifest), kept, measured, similarity)
    named = {"keep": options.keep, "drop": options.drop}
    return Plan(
        NAME,
        ("keep",),
        (*verdicts.values(), *reg_images),
        warnings=tuple(warnings(images, measured, verdicts, named)),
    )


def rules_of(options: Options) -> QualityRules:
    """What is asked of an image."""
    return QualityRules(
        min_side=options.min_side,
        max_aspect=options.max_aspect,
        max_upscale=options.max_upscale,
        min_sharpness=options.min_sharpness,
        min_contrast=options.min_contrast,
        animated=options.animated,
        letterbox=options.letterbox,
        resolution=options.resolution,
        keep=options.keep,
        drop=options.drop,
    )


STAGE = Stage(
    name=NAME,
    help=__doc__,
    options=Options,
    reads=("images",),
    choices=("manual_keep",),
    plan=plan,
    observe=observe,
    measure=measure,
)
