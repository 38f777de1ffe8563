"""Which pictures a person speaks of, with the captions that hold."""

from __future__ import annotations

import difflib
import fnmatch
from collections.abc import Sequence
from dataclasses import dataclass

from pipeline.captions import captions
from pipeline.errors import PrepError
from pipeline.manifest import Manifest
from pipeline.records import Image
from pipeline.tagdesk.spelling import Names, alike, categories_of
from pipeline.tags.names import split_caption

MOST_NAMED = 8


@dataclass(frozen=True, slots=True, kw_only=True)
class Filter:
    """What a picture must fit: its concept or one above it, its path or a part or pattern of it, tags that its caption
    must all have, and tags of which it must have none. What is not given fits everything."""

    concept: str | None = None
    image: str | None = None
    having: tuple[str, ...] = ()
    lacking: tuple[str, ...] = ()

    @property
    def is_given(self) -> bool:
        return self != Filter()


@dataclass(frozen=True, slots=True)
class Shown:
    """A kept picture with the tags of the caption that holds, each once, as they are written there."""

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
    """The pictures that fit, and the names of all tags of the set."""

    pictures: Sequence[Shown]
    names: Names


def select(manifest: Manifest, wanted: Filter) -> Selection:
    """The kept pictures that fit, in order of path.

    Raises:
        PrepError: there is no such concept or picture; the message names those that are near.
    """
    texts = captions(manifest)
    kept = manifest.kept()
    everything = [Shown(image, tuple(dict.fromkeys(split_caption(texts.get(image.path, ""))))) for image in kept]
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


def _placed(everything: Sequence[Shown], wanted: Filter) -> Sequence[Shown]:
    """The pictures whose concept and path fit."""
    found = everything
    if wanted.concept is not None:
        concept = wanted.concept.replace("~", "/").strip("/")
        found = [shown for shown in found if f"{shown.concept}/".startswith(f"{concept}/")]
        if not found:
            raise PrepError(
                f"no kept picture is of the concept {wanted.concept!r}", _concepts_like(everything, concept)
            )
    if wanted.image is not None:
        found = [shown for shown in found if fits(shown.path, wanted.image)]
        if not found:
            raise PrepError(
                f"no kept picture fits {wanted.image!r}", "give a path in the set, a part of one, or a pattern with *"
            )
    return found


def fits(path: str, wanted: str) -> bool:
    """Whether a path in the set is this, holds it, or fits this pattern."""
    return wanted in path or fnmatch.fnmatchcase(path, wanted)


def _concepts_like(everything: Sequence[Shown], concept: str) -> str:
    known = sorted({shown.concept for shown in everything})
    inside = [each for each in known if concept in each.split("/")]
    near = inside or difflib.get_close_matches(concept, known, MOST_NAMED, 0.5) or known
    more = f" and {len(near) - MOST_NAMED} more" if len(near) > MOST_NAMED else ""
    return f"give the whole path of a concept, such as: {', '.join(near[:MOST_NAMED])}{more}" if near else ""
