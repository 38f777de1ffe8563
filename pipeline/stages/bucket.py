"""Assign every kept image to the bucket nearest to its aspect ratio.

Sizes have about the area of the resolution squared and sides in multiples of the step. Scale and crop are stored per
image, with the part of it that the crop cuts away, and are exactly what is trained on. A crop is taken from the
middle, from the top, or from where the image's detail is; single images can be given an anchor of their own.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from pipeline.core.errors import PrepError
from pipeline.images.buckets import crop_anchors as holding
from pipeline.images.buckets.background import colour
from pipeline.images.buckets.bucket_rows import bucket_rows
from pipeline.images.buckets.buckets import (
    Rule,
    Sizes,
    bucket_list,
    choose_all,
    different,
    fit_all,
    fit_all_without_enlarging,
    sides,
)
from pipeline.images.buckets.crop_summary import Fits, table, warnings
from pipeline.images.buckets.fewer_buckets import BucketBounds, bucket_list_notes
from pipeline.images.buckets.held_crops import anchor_notes, keep_faces
from pipeline.images.buckets.kept_images import exposures, kept_images
from pipeline.store.manifest import Manifest
from pipeline.store.records import Plan
from pipeline.store.running.stage import ProgressCallback, Stage, WorkResult
from pipeline.store.values import read

NAME = "bucket"
MAX_RESOLUTION = 16384
"""Side in pixels beyond which no model is trained, and numbers stop meaning sizes."""
CROPS = "reports/crops"


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    resolution: int = 512
    """Side in pixels of the square whose area the sizes have: 512 or 768 for SD 1 and 2, 1024 for SDXL."""
    bucket_reso_steps: int = 64
    """Sides are multiples of this many pixels."""
    min_bucket_reso: int | None = None
    """Shortest side in pixels; half the resolution if not given."""
    max_bucket_reso: int | None = None
    """Longest side in pixels; twice the resolution if not given."""
    rule: Rule = "nearest"
    """How a size is chosen: nearest aspect ratio, or as kohya's sd-scripts choose it."""
    upscale: bool = True
    """Enlarge small images to the area; without it they get sizes of their own."""
    batch_size: int = 1
    """Images per training batch, to warn of sizes that cannot fill one."""
    anchor: Literal["centre", "top", "subject"] = "centre"
    """What a crop holds on to: the middle, the upper edge, or where the image's detail is."""
    anchors: Mapping[str, str] = field(default_factory=dict)
    """Path or pattern and what its crops hold on to: centre, top, bottom, left, right, subject or x,y (parts of 1)."""
    faces_in_names: bool = False
    """Keep the face that a file name ends in, as _cx_cy_w_h in pixels, inside the crop."""
    background: str = "white"
    """Colour below transparent images: a name or #rrggbb."""
    contact_sheet: bool = False
    """Draw what is cut off the images of each size into reports/crops."""
    sheet_images: int = 120
    """Images per size on the contact sheets, those that lose most first; 0 for all."""

    def __post_init__(self) -> None:
        if self.bucket_reso_steps < 8 or self.bucket_reso_steps % 8:
            raise PrepError(
                f"bucket_reso_steps is {self.bucket_reso_steps}",
                "give a multiple of 8, a latent pixel's side; 64 is usual",
            )
        if self.resolution > MAX_RESOLUTION:
            raise PrepError(f"resolution is {self.resolution}", f"give the side in pixels, at most {MAX_RESOLUTION}")
        if self.resolution < self.bucket_reso_steps:
            raise PrepError(
                f"resolution is {self.resolution}, below bucket_reso_steps of {self.bucket_reso_steps}",
                "give a larger resolution or a smaller step",
            )
        if self.min_bucket_reso is not None and not 1 <= self.min_bucket_reso <= self.resolution:
            raise PrepError(
                f"min_bucket_reso is {self.min_bucket_reso}", f"give 1 to the resolution, {self.resolution}"
            )
        if self.max_bucket_reso is not None and self.max_bucket_reso < self.resolution:
            raise PrepError(
                f"max_bucket_reso is {self.max_bucket_reso}, below the resolution of {self.resolution}",
                f"give {self.resolution * 2}, so that long images keep their area",
            )
        if self.batch_size < 1:
            raise PrepError(f"batch_size is {self.batch_size}", "give 1 or more")
        if self.sheet_images < 0:
            raise PrepError(f"sheet_images is {self.sheet_images}", "give 1 or more, or 0 for all")
        _check_anchors(self.anchors)
        colour(self.background)


def _check_anchors(anchors: Mapping[str, str]) -> None:
    problems = []
    for key, text in anchors.items():
        try:
            holding.parse(text)
        except ValueError as error:
            problems.append(f"the anchor of {key} is {text!r}: {error}")
    if problems:
        raise PrepError("\n".join(problems), "name what the crop holds on to, such as images/a/b.png=top")


def observe(manifest: Manifest, options: Options) -> str:
    """A hash of where the detail of images lies, where crops depend on it."""
    by_person = (value for _, value in manifest.values("manual_anchor"))
    if holding.SUBJECT not in (options.anchor, *options.anchors.values(), *by_person):
        return ""
    return hashlib.sha256(repr(manifest.measured("focus")).encode()).hexdigest()


def plan(manifest: Manifest, options: Options) -> Plan:
    """One size and crop for every kept image."""
    kept = kept_images(manifest)
    if not kept.paths:
        return Plan(NAME, ("bucket",), warnings=("no image is kept, so there is nothing to give a size to",))
    sizes, scaled = _fitted(kept.images, options)
    picked = holding.chosen(kept.paths, options.anchor, options.anchors, dict(manifest.values("manual_anchor")))
    corners = holding.place(picked.names, scaled, sizes, kept.strips)
    names = list(picked.names)
    about_anchors = list(anchor_notes(kept, picked, scaled, sizes))
    if options.faces_in_names:
        about_anchors += keep_faces(kept, scaled, sizes, corners, names)
    fits = Fits(kept.paths, kept.images, scaled, sizes, corners, *exposures(manifest, kept.paths))
    on_list = (
        bucket_list_notes(kept.images, _bounds(options), options.resolution, options.rule) if options.upscale else None
    )
    about_list, info = on_list or ([], [])
    return Plan(
        NAME,
        ("bucket",),
        tuple(bucket_rows(fits, names, kept.transparent, colour(options.background))),
        info=tuple(info),
        warnings=(*about_list, *warnings(fits, options.batch_size), *about_anchors),
        table=tuple(table(fits, options.batch_size)),
    )


def _fitted(images: Sizes, options: Options) -> tuple[Sizes, Sizes]:
    """(buckets, scaled sizes) of the images, each (N, 2)."""
    shapes, which = different(images)
    if options.upscale:
        bounds = _bounds(options)
        buckets = bucket_list(options.resolution**2, bounds.step, bounds.min_side, bounds.max_side)
        sizes = choose_all(shapes, buckets, options.rule)
        scaled = fit_all(shapes, sizes)
    else:
        sizes, scaled = fit_all_without_enlarging(shapes, options.resolution**2, options.bucket_reso_steps)
    return sizes[which], scaled[which]


def _bounds(options: Options) -> BucketBounds:
    return BucketBounds(
        options.bucket_reso_steps,
        *sides(options.resolution, options.bucket_reso_steps, options.min_bucket_reso, options.max_bucket_reso),
    )


def files(options: Options) -> tuple[str, ...]:
    return (f"{CROPS}/*.jpg",) if options.contact_sheet else ()


def missing(manifest: Manifest, options: Options) -> str:
    """Why it must run although nothing changed: contact sheets that were deleted."""
    if options.contact_sheet and manifest.kept() and not any((manifest.root / CROPS).glob("*.jpg")):
        return f"no contact sheet is in {CROPS}"
    return ""


def work(manifest: Manifest, options: Options, progress: ProgressCallback) -> WorkResult:
    """Draw the contact sheets, where they are asked for."""
    if not options.contact_sheet:
        return WorkResult()
    from pipeline.images.sheets.crop_sheet import Cell, draw_sheets

    buckets, kept = read.buckets(manifest), kept_images(manifest)
    cells = [
        Cell(path, (width, height), buckets[path])
        for path, (width, height) in zip(kept.paths, kept.images.tolist(), strict=True)
    ]
    return WorkResult(draw_sheets(manifest.root, CROPS, cells, options.sheet_images, progress))


STAGE = Stage(
    name=NAME,
    help=__doc__,
    options=Options,
    reads=("images", "keep"),
    choices=("manual_anchor",),
    plan=plan,
    observe=observe,
    observes="the images' detail",
    missing=missing,
    work=work,
    files=files,
)
