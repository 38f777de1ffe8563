"""Which images a person speaks of, with the captions that hold."""

from __future__ import annotations

import difflib
from collections.abc import Sequence
from dataclasses import dataclass

from pipeline.core.errors import PrepError
from pipeline.core.filenames import fits_pattern
from pipeline.store.caption_files import captions
from pipeline.store.manifest import Manifest
from pipeline.store.records import Image
from pipeline.tags.editor.spelling import Names, alike, categories_of
from pipeline.tags.vocabulary.aliases import split_caption

MOST_NAMED = 8


@dataclass(frozen=True, slots=True, kw_only=True)
class Filter:
    """What an image must fit: its concept or one above it, its path or a part or pattern of it, tags that its caption
    must all have, and tags of which it must have none. What is not given fits everything."""

    concept: str | None = None
    image: str | None = None
    having: tuple[str, ...] = ()
    lacking: tuple[str, ...] = ()

    @property
    def is_given(self) -> bool:
        return self != Filter()


@dataclass(frozen=True, slots=True)
class CaptionedImage:
    """A kept image with the tags of the caption that holds, each once, as they are written there."""

    image: Image
    tags: tuple[str, ...]

    @property
    def path(self) -> str:
        return self.image.path

    @property
    def concept(self) -> str:
        return self.image.concept


@dataclass(frozen=True, slots=True)
class Selection:
    """The images that fit, and the names of all tags of the set."""

    images: Sequence[CaptionedImage]
    names: Names


def select(manifest: Manifest, wanted: Filter) -> Selection:
    """The kept images that fit, in order of path.

    Raises:
        PrepError: there is no such concept or image; the message names those that are near.
    """
    texts = captions(manifest)
    kept = manifest.kept()
    everything = [
        CaptionedImage(image, tuple(dict.fromkeys(split_caption(texts.get(image.path, ""))))) for image in kept
    ]
    names = Names(categories_of(manifest), {tag for shown in everything for tag in shown.tags})
    found = _placed(everything, wanted)
    having = {alike(names.of(tag)) for tag in wanted.having}
    lacking = {alike(names.of(tag)) for tag in wanted.lacking}
    if having or lacking:
        found = [
            shown
            for shown, tags in ((shown, {alike(tag) for tag in shown.tags}) for shown in found)
            if having <= tags and not lacking & tags
        ]
    return Selection(found, names)


def _placed(everything: Sequence[CaptionedImage], wanted: Filter) -> Sequence[CaptionedImage]:
    """The images whose concept and path fit."""
    found = everything
    if wanted.concept is not None:
        concept = wanted.concept.replace("~", "/").strip("/")
        found = [shown for shown in found if f"{shown.concept}/".startswith(f"{concept}/")]
        if not found:
            raise PrepError(f"no kept image is of the concept {wanted.concept!r}", _concepts_like(everything, concept))
    if wanted.image is not None:
        found = [shown for shown in found if fits(shown.path, wanted.image)]
        if not found:
            raise PrepError(
                f"no kept image matches {wanted.image!r}", "give a path in the set, a part of one, or a pattern with *"
            )
    return found


def fits(path: str, wanted: str) -> bool:
    """Whether a path in the set is this, holds it, or fits this pattern."""
    return wanted in path or fits_pattern(path, wanted)


def _concepts_like(everything: Sequence[CaptionedImage], concept: str) -> str:
    known = sorted({shown.concept for shown in everything})
    inside = [each for each in known if concept in each.split("/")]
    near = inside or difflib.get_close_matches(concept, known, MOST_NAMED, 0.5) or known
    more = f" and {len(near) - MOST_NAMED} more" if len(near) > MOST_NAMED else ""
    return f"give the whole path of a concept, such as: {', '.join(near[:MOST_NAMED])}{more}" if near else ""
