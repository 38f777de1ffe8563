"""Views of an image: which part of it is shown, whether mirrored, and in which colours. All of it is decided here, before
anything is decoded, as a pure function of content, caption and options; no torch.

A view is encoded like an image of its own and cached by what it shows. A mirrored view is made of mirrored pixels: an
encoder's filters are not symmetric and it pads on one side, so that mirrored latents would be those of no image.

random_crop moves the crop, face_crop enlarges the image about its subject: both place the crop, so one of them is
used. color_jitter and flip go with either. A regularization image is shown in the colours of its image's view and mirrored
with it, but whole, as it was made for the bucket.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from pipeline.core.seeded import rng
from pipeline.store.values.bucket import Bucket
from train.data.color_jitter import Colour, drawn_colour, uniform
from train.data.options import AugmentationOptions

LARGEST = 1.5
"""Pixels that face_crop makes of one pixel of the file along a side, at most; beyond, detail is only smeared."""
TRIES = 4
"""How many draws for each view that is wanted; where they give no more different ones, there are none to be had."""


@dataclass(frozen=True, slots=True)
class ImageView:
    """A view to encode: content hash, file, how it is cropped, then whether what the crop
    holds is mirrored, in which colours it is shown, and the (width, height) of the file as measured."""

    content: str
    file: Path
    bucket: Bucket
    flip: bool = False
    colour: Colour | None = None
    pixels: tuple[int, int] | None = None

    @property
    def size(self) -> tuple[int, int]:
        return self.bucket.size

    @property
    def original(self) -> tuple[int, int]:
        """(width, height) of the file, upright; what it is scaled to where that was not measured."""
        return self.pixels or self.bucket.scaled

    @property
    def key(self) -> str:
        """Everything that its latent depends on beside the VAE; what a view does not have is not named."""
        bucket = self.bucket
        (width, height), (across, down), (left, top, right, bottom) = bucket.size, bucket.scaled, bucket.crop
        key = f"{self.content} {width},{height} {across},{down} {left},{top},{right},{bottom}"
        if bucket.background:
            key += f" {bucket.background}"
        if self.flip:
            key += " mirrored"
        return f"{key} {self.colour!r}" if self.colour else key


@dataclass(frozen=True, slots=True)
class Subject:
    """Where an image's subject is, (x, y) in parts of its sides, and the (width, height) of the file in pixels."""

    at: tuple[float, float]
    pixels: tuple[int, int]


@dataclass(frozen=True, slots=True)
class Seen:
    """What the views of an image are decided from, and its name for people; `said` is all that is said of it."""

    name: str
    image: ImageView
    said: str
    subject: Subject | None = None


def views(seen: Seen, options: AugmentationOptions, seed: int) -> tuple[ImageView, ...]:
    """Every view of an image, all different: the image itself where nothing is to be varied; `variants` drawn ones, or
    as many as there can be; and, unless its caption forbids it, the same ones mirrored."""
    varied = _variants(seen.image, seen.subject, options, seed)
    if not options.flip or forbidding(seen.said, options.flip_guard):
        return varied
    return (*varied, *(replace(view, flip=True) for view in varied))


def reg_image_view(reg_image: ImageView, view: ImageView) -> ImageView:
    """A regularization image as it goes with a view of its image: mirrored with it and in its colours, never cropped."""
    return replace(reg_image, flip=view.flip, colour=view.colour)


def drawn_view(views: Sequence[ImageView], earlier: int, *key: int | str) -> ImageView:
    """The view for an exposure that comes after `earlier` ones of the same image. The views are assigned round-robin, all of
    them before one comes again, in an order drawn anew each time, so that none is shown more than once too often."""
    if len(views) == 1:
        return views[0]
    turn, place = divmod(earlier, len(views))
    return views[int(rng(*key, "views", turn).permutation(len(views))[place])]


def forbidding(said: str, guard: Sequence[str]) -> str:
    """The first of `flip_guard`'s words that stands in what is said of an image; "" if none does.

    Whole words count, whatever their case, between hyphens and underscores too: `left` stands in `left-handed` and in
    `looking_left`, not in `leftover`.
    """
    words = _words(said)
    return next((word for word in guard if _words(word).strip() and _words(word) in words), "")


def _words(text: str) -> str:
    """The words of a text with one space before and behind each."""
    return " ".join(["", *re.findall(r"[^\W_]+", text.casefold()), ""])


def _variants(
    image: ImageView, subject: Subject | None, options: AugmentationOptions, seed: int
) -> tuple[ImageView, ...]:
    if not (options.color_jitter or _can_move(image, subject, options)):
        return (image,)
    found: dict[str, ImageView] = {}
    for index in range(TRIES * options.variants):
        view = _drawn(image, subject, options, "view", seed, image.content, index)
        found.setdefault(view.key, view)
        if len(found) == options.variants:
            break
    return tuple(found.values())


def _can_move(image: ImageView, subject: Subject | None, options: AugmentationOptions) -> bool:
    """Whether another part of the image is shown than the bucket decision's."""
    if options.random_crop:
        return _spare(image) != (0, 0)
    return options.face_crop is not None and subject is not None and _enlargement(image, subject, options)[1] > 1


def _drawn(image: ImageView, subject: Subject | None, options: AugmentationOptions, *key: int | str) -> ImageView:
    """A view as its key draws it."""
    if _can_move(image, subject, options):
        if options.random_crop:
            image = _moved(image, *key)
        elif subject is not None:
            image = _enlarged(image, subject, options, *key)
    return replace(image, colour=drawn_colour(options.color_jitter, *key)) if options.color_jitter else image


def _spare(image: ImageView) -> tuple[int, int]:
    """(right, down): pixels of the scaled image that the crop leaves out."""
    (across, down), (width, height) = image.bucket.scaled, image.size
    return across - width, down - height


def _moved(image: ImageView, *key: int | str) -> ImageView:
    """The crop anywhere in the scaled image, every place as likely."""
    left, top = (int(uniform(*key, axis) * (spare + 1)) for axis, spare in zip("xy", _spare(image), strict=True))
    return _cropped(image, image.bucket.scaled, left, top)


def _enlargement(image: ImageView, subject: Subject, options: AugmentationOptions) -> tuple[float, float]:
    """Least and most by which an image may be enlarged: as face_crop says, but within what its file can give."""
    assert options.face_crop is not None
    minimum, most = options.face_crop
    room = min(LARGEST * pixels / side for pixels, side in zip(subject.pixels, image.bucket.scaled, strict=True))
    most = max(1.0, min(most, room))
    return min(minimum, most), most


def _enlarged(image: ImageView, subject: Subject, options: AugmentationOptions, *key: int | str) -> ImageView:
    """Enlarged by a drawn factor, every ratio as likely, and cut so that the subject is as near to the middle as the
    image's edges let it be."""
    minimum, most = _enlargement(image, subject, options)
    factor = minimum * (most / minimum) ** uniform(*key, "enlarged")
    across, down = (max(side, round(now * factor)) for side, now in zip(image.size, image.bucket.scaled, strict=True))
    scaled = across, down
    left, top = (
        min(max(round(at * whole - side / 2), 0), whole - side)
        for at, whole, side in zip(subject.at, scaled, image.size, strict=True)
    )
    return _cropped(image, scaled, left, top)


def _cropped(image: ImageView, scaled: tuple[int, int], left: int, top: int) -> ImageView:
    width, height = image.size
    bucket = replace(image.bucket, scaled=scaled, crop=(left, top, left + width, top + height))
    return replace(image, bucket=bucket)


# --- what a plan says of it


def warnings(seen: Sequence[Seen], options: AugmentationOptions) -> tuple[str, ...]:
    """What flip, random_crop and face_crop leave as it is, and why."""
    found = [_flip_remark(seen, options)] if options.flip else []
    if options.random_crop:
        whole = [each for each in seen if _spare(each.image) == (0, 0)]
        found.append(_left(whole, seen, "random_crop", "of which the bucket cuts nothing away"))
    if options.face_crop:
        unknown = [each for each in seen if each.subject is None]
        small = [each for each in seen if each.subject and _enlargement(each.image, each.subject, options)[1] <= 1]
        if options.face_crop[1] > 1:
            found.append(
                _left(small, seen, "face_crop", f"of which it would make more than {LARGEST} times their file's pixels")
            )
        way = "whose subject is not known (prep check SET --force measures where it is)"
        found.append(_left(unknown, seen, "face_crop", way))
    return tuple(remark for remark in found if remark)


def _left(some: Sequence[Seen], seen: Sequence[Seen], option: str, why: str) -> str:
    if not some:
        return ""
    return f"{option} leaves {len(some)} of {len(seen)} images as they are, {why}, such as {some[0].name}"


def _flip_remark(seen: Sequence[Seen], options: AugmentationOptions) -> str:
    guarded = [each for each in seen if forbidding(each.said, options.flip_guard)]
    if not guarded:
        return ""
    said = " or ".join(dict.fromkeys(forbidding(each.said, options.flip_guard) for each in guarded))
    return f"flip leaves out {len(guarded)} of {len(seen)} images whose caption says {said}, such as {guarded[0].name}"
