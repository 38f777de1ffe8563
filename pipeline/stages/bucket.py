"""Assign every kept image to the bucket nearest to its aspect ratio.

Sizes have about the area of the resolution squared and sides in multiples of the step. Scale and crop are stored per
image, with the part of it that the crop cuts away, and are exactly what is trained on. A crop is taken from the
middle, from the top, or from where the image's detail is; single images can be given an anchor of their own.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from pipeline.core.errors import PrepError
from pipeline.images.buckets import crop_anchors as holding
from pipeline.images.buckets.background import colour
from pipeline.images.buckets.buckets import (
    Rule,
    Sizes,
    choose_all,
    codes,
    fit_all,
    fit_all_without_enlarging,
    ladder,
    sides,
)
from pipeline.images.buckets.crop_summary import Fits, notes, table
from pipeline.images.buckets.detail_profile import LENGTH, STRIPS
from pipeline.images.buckets.fewer_buckets import BucketList, BucketTrial, Crowd, shorter
from pipeline.store.manifest import Manifest
from pipeline.store.reasons.bucket import CROPPED, BucketReason
from pipeline.store.records import Decision, Plan
from pipeline.store.stage import ProgressCallback, Stage, WorkResult
from pipeline.store.values import read
from pipeline.store.values.bucket import CENTRE, Bucket
from pipeline.store.values.repeats import Repeats

NAME = "bucket"
CROPS = "reports/crops"
FEW = 20
"""With fewer images a shorter ladder is not proposed: one more image would change the answer."""
CLIPPED = 0.9
"""Sizes with less than this part of the area that an unlimited longest side gives are warned of."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    resolution: int = 512
    """Side in pixels of the square whose area the sizes have: 512 or 768 for SD 1 and 2, 1024 for SDXL."""
    step: int = 64
    """Sides are multiples of this many pixels."""
    min_side: int | None = None
    """Shortest side in pixels; half the resolution if not given."""
    max_side: int | None = None
    """Longest side in pixels; twice the resolution if not given."""
    rule: Rule = "nearest"
    """How a size is chosen: nearest aspect ratio, or as kohya's sd-scripts choose it."""
    enlarge: bool = True
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
        if self.step < 8 or self.step % 8:
            raise PrepError(f"step is {self.step}", "give a multiple of 8, a latent pixel's side; 64 is usual")
        if self.resolution < self.step:
            raise PrepError(
                f"resolution is {self.resolution}, below the step of {self.step}",
                "give a larger resolution or a smaller step",
            )
        if self.min_side is not None and not 1 <= self.min_side <= self.resolution:
            raise PrepError(f"min_side is {self.min_side}", f"give 1 to the resolution, {self.resolution}")
        if self.max_side is not None and self.max_side < self.resolution:
            raise PrepError(
                f"max_side is {self.max_side}, below the resolution of {self.resolution}",
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
    if holding.SUBJECT not in (options.anchor, *options.anchors.values()):
        return ""
    return hashlib.sha256(repr(manifest.measured("focus")).encode()).hexdigest()


@dataclass(frozen=True, slots=True)
class Known:
    """What is known of the N kept images, in arrays, as records by the hundred thousand slow Python down.

    `images` (N, 2) are their sizes, `strips` (N, 2, 32) the detail per column and row strip, zeros where `seen` (N,)
    says that it was not measured.
    """

    paths: list[str]
    sources: list[str]
    images: Sizes
    transparent: list[bool]
    strips: NDArray[np.uint8]
    seen: NDArray[np.bool_]


def plan(manifest: Manifest, options: Options) -> Plan:
    """One size and crop for every kept image."""
    known = _known(manifest)
    if not known.paths:
        return Plan(NAME, ("bucket",), notes=("no image is kept, so there is nothing to give a size to",))
    sizes, scaled = _fitted(known.images, options)
    picked = holding.chosen(known.paths, options.anchor, options.anchors)
    corners = holding.place(picked.names, scaled, sizes, known.strips)
    names = list(picked.names)
    told = list(_unheld(known, picked, scaled, sizes))
    if options.faces_in_names:
        told += _keep_faces(known, scaled, sizes, corners, names)
    fits = Fits(known.paths, known.images, scaled, sizes, corners, *_exposures(manifest, known.paths))
    warnings, remarks = _ladder(known.images, options)
    return Plan(
        NAME,
        ("bucket",),
        tuple(_decisions(fits, names, known.transparent, options)),
        remarks=tuple(remarks),
        notes=(*warnings, *notes(fits, options.batch_size), *told),
        table=tuple(table(fits, options.batch_size)),
    )


def _known(manifest: Manifest) -> Known:
    """Of what was measured only these four columns, as reading whole records takes as long as all the rest."""
    kept = manifest.kept()
    measured = manifest.measured("width", "height", "transparent", "focus")
    found = [measured.get(image.content, (0, 0, 0, "")) for image in kept]
    unknown = [image.path for image, each in zip(kept, found, strict=True) if not (each[0] and each[1])]
    if unknown:
        raise PrepError(
            f"{len(unknown)} images were not measured, such as {unknown[0]}", f"run: prep check {manifest.root}"
        )
    profiles = [each[3] for each in found]
    seen = np.array([len(profile) == LENGTH for profile in profiles], bool)
    strips = np.zeros((len(found), 2, STRIPS), np.uint8)
    digits = bytes.fromhex("".join(profile for profile in profiles if len(profile) == LENGTH))
    strips[seen] = np.frombuffer(digits, np.uint8).reshape(-1, 2, STRIPS)
    return Known(
        [image.path for image in kept],
        [image.source for image in kept],
        np.array([each[:2] for each in found], np.int64).reshape(-1, 2),
        [bool(each[2]) for each in found],
        strips,
        seen,
    )


def _fitted(images: Sizes, options: Options) -> tuple[Sizes, Sizes]:
    """(buckets, scaled sizes) of the images, each (N, 2); equal images are fitted once."""
    _, first, inverse = np.unique(codes(images), return_index=True, return_inverse=True)
    different = images[first]
    if options.enlarge:
        rungs = _rungs(options)
        buckets = ladder(options.resolution**2, rungs.step, rungs.min_side, rungs.max_side)
        sizes = choose_all(different, buckets, options.rule)
        scaled = fit_all(different, sizes)
    else:
        sizes, scaled = fit_all_without_enlarging(different, options.resolution**2, options.step)
    return sizes[inverse], scaled[inverse]


def _rungs(options: Options) -> BucketList:
    return BucketList(options.step, *sides(options.resolution, options.step, options.min_side, options.max_side))


def _exposures(manifest: Manifest, paths: list[str]) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """(N,) exact and (N,) whole exposures per epoch; 1 before `balance` ran. Only the report depends on them."""
    decided, once = read.repeats(manifest), Repeats(1.0, 1)
    found = [decided.get(path, once) for path in paths]
    return np.array([each.exact for each in found], float), np.array([each.exported for each in found], np.int64)


# --- what crops hold on to


def _unheld(known: Known, picked: holding.Choice, scaled: Sizes, sizes: Sizes) -> Iterator[str]:
    """Notes: anchors that fit no image, and crops whose subject is not known."""
    for key in picked.unused:
        yield f"anchors: no kept image fits {key!r}; name it by its path in the set, such as {known.paths[0]}"
    wanted = np.array([name.strip() == holding.SUBJECT for name in picked.names], bool)
    blind = np.flatnonzero(wanted & ~known.seen & np.any(scaled > sizes, axis=1))
    if len(blind):
        yield (
            f"the detail of {len(blind)} of {len(known.paths)} images was not measured, such as "
            f"{known.paths[blind[0]]}; their crops are taken from the middle until you run: prep check SET --force"
        )


def _keep_faces(known: Known, scaled: Sizes, sizes: Sizes, corners: Sizes, names: list[str]) -> list[str]:
    """Move crops to hold the faces that file names tell of; gives notes."""
    found, large = 0, []
    for place, source in enumerate(known.sources):
        box = holding.box_in_name(source)
        if box is None:
            continue
        image, whole, size, corner = (
            (int(each[place, 0]), int(each[place, 1])) for each in (known.images, scaled, sizes, corners)
        )
        face = holding.face_in(box, image)
        if face is None:
            continue
        found += 1
        corners[place] = holding.keep_face(corner, face, image, whole, size)
        names[place] = holding.FACE
        if any((face[axis + 2] - face[axis]) * whole[axis] > size[axis] * image[axis] for axis in (0, 1)):
            large.append(known.paths[place])
    if not found:
        return ["faces_in_names: no file name ends in a face, _cx_cy_w_h, that lies in its image"]
    return [f"{len(large)} of {found} faces are larger than their crop, such as in {large[0]}"] if large else []


# --- the plan's rows


def _decisions(fits: Fits, names: list[str], transparent: list[bool], options: Options) -> Iterator[Decision]:
    """One row per image."""
    below = colour(options.background)
    held = {name: name if name == holding.FACE else holding.parse(name).name for name in set(names)}
    columns = (
        each[:, side].tolist() for each in (fits.images, fits.scaled, fits.sizes, fits.corners) for side in (0, 1)
    )
    losses, scales = fits.losses.tolist(), fits.scales.tolist()
    for path, name, is_clear, loss, scale, width, height, *rest in zip(
        fits.paths, names, transparent, losses, scales, *columns, strict=True
    ):
        across, down, wide, high, left, top = rest
        anchor = held[name]
        crop = left, top, left + wide, top + high
        value = Bucket((wide, high), (across, down), crop, round(loss, 6), anchor, below if is_clear else "")
        same = (across, down) == (width, height)
        reason = BucketReason.UNSCALED if same else BucketReason.DOWNSCALED if scale <= 1 else BucketReason.UPSCALED
        figures = {"image": (width, height), "scale": round(scale, 6), "size": value.size, "loss": value.loss}
        if loss > 0:
            reason = CROPPED[reason]
            moved = left - (across - wide) // 2, top - (down - high) // 2
            figures |= {"anchor": anchor} if anchor != CENTRE else {}
            figures |= {"moved": moved} if any(moved) else {}
        yield Decision(path, "bucket", value, reason, figures)


# --- what could be done better


def _ladder(images: Sizes, options: Options) -> tuple[list[str], list[str]]:
    """(warnings, remarks) on the ladder as a whole: cut short, or longer than the images need."""
    if not options.enlarge:
        return [], []
    rungs = _rungs(options)
    crowd = Crowd(images)
    now = crowd.attempt(rungs, options.resolution, options.rule)
    free = BucketList(options.step, *sides(options.resolution, options.step))
    whole = crowd.attempt(free, options.resolution, options.rule).area
    if now.area < CLIPPED * whole:
        clipped = (
            f"sizes have {now.area:.0%} of the area of {options.resolution}² on average, {whole:.0%} without min_side = "
            f"{rungs.min_side}, max_side = {rungs.max_side}; leave both out, or set max_side = {free.max_side}"
        )
        return [clipped], []
    found = shorter(crowd, rungs, options.resolution, options.rule) if len(images) >= FEW else None
    return [], [_proposal(*found)] if found else []


def _proposal(now: BucketTrial, best: BucketTrial) -> str:
    same = f"{best.mean:.2%}" == f"{now.mean:.2%}" or best.mean < now.mean
    mean = (
        f"{best.mean:.2%} as now" if f"{best.mean:.2%}" == f"{now.mean:.2%}" else f"{best.mean:.2%}, now {now.mean:.2%}"
    )
    step = f"step = {best.rungs.step}, " if best.rungs.step != now.rungs.step else ""
    return (
        f"{best.sizes} sizes instead of {now.sizes} lose {'nothing' if same else 'next to nothing'}: mean cut {mean}, "
        f"worst {best.worst:.1%}, now {now.worst:.1%}; set {step}min_side = {best.rungs.min_side}, "
        f"max_side = {best.rungs.max_side}"
    )


# --- contact sheets


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

    buckets, known = read.buckets(manifest), _known(manifest)
    cells = [
        Cell(path, (width, height), buckets[path])
        for path, (width, height) in zip(known.paths, known.images.tolist(), strict=True)
    ]
    return WorkResult(draw_sheets(manifest.root, CROPS, cells, options.sheet_images, progress))


STAGE = Stage(
    name=NAME,
    help=__doc__,
    options=Options,
    reads=("images", "keep"),
    plan=plan,
    observe=observe,
    observes="the images' detail",
    missing=missing,
    work=work,
    files=files,
)
