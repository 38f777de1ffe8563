"""Which of the kept images are trained on, where a person names concepts or images."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from pipeline.config.settings import nearest
from pipeline.core.errors import PrepError
from pipeline.core.filenames import fits_concept, fits_pattern
from pipeline.store.records import Image


def subset(kept: Sequence[Image], only: Sequence[str], without: Sequence[str]) -> tuple[Image, ...]:
    """The images that one of `only` names, or all, without those that one of `without` names, in their order.

    A name or pattern is of a concept and all below it, or of an image by its path or file name; brackets are letters of names.

    Raises:
        PrepError: one names nothing, or nothing is left.
    """
    for option, patterns in (("only", only), ("without", without)):
        for pattern in patterns:
            if not any(is_meant(image, pattern) for image in kept):
                near = nearest(pattern, dict.fromkeys(image.concept for image in kept))
                raise PrepError(
                    f"{option} names {pattern!r}, which is no concept or kept image of the set",
                    f"did you mean {near}?" if near else "see the concepts with: prep images list SET",
                )
    found = tuple(_left(kept, only, without))
    if not found:
        raise PrepError("only and without leave no image to train on", "leave one of them out")
    return found


def is_meant(image: Image, pattern: str) -> bool:
    """Whether a pattern names an image, or a concept that it belongs to."""
    whole = pattern.rstrip("/")
    parts = image.concept.split("/")
    if any(fits_concept("/".join(parts[:end]), whole) for end in range(1, len(parts) + 1)):
        return True
    return fits_pattern(image.path, whole) or fits_pattern(image.path.rpartition("/")[2], whole)


def _left(kept: Sequence[Image], only: Sequence[str], without: Sequence[str]) -> Iterator[Image]:
    for image in kept:
        asked = not only or any(is_meant(image, pattern) for pattern in only)
        if asked and not any(is_meant(image, pattern) for pattern in without):
            yield image
