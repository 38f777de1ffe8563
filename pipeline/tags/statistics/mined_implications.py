"""Which tag says what another says, mined from the set's own scores and confirmed by their names.

A tagger trained on tags that imply others gives both: nearly all images with `holding sword` have `sword`, and few
of those with `sword` are of someone holding it. That alone proves little, as all of a character's images show her
eyes; so a pair is used only where the exact tag ends with the words of the general one, and proposed where it does not.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass

import numpy as np

from pipeline.tags.statistics.coverage import Sightings, Together
from pipeline.tags.vocabulary.aliases import singular, words
from pipeline.tags.vocabulary.head_nouns import says_otherwise
from pipeline.tags.vocabulary.implications import implies

AT_LEAST = 20
"""Images that a tag needs before anything is mined of it."""
ALWAYS = 0.97
"""Share of a tag's images that must show the other."""
SELDOM = 0.9
"""Share of the other's images that may show the tag at most, for it to be the general one."""

EVERYWHERE = 0.9
"""Share of all images from which a tag that comes with another comes with anything."""


@dataclass(frozen=True, slots=True)
class MinedImplication:
    """Of `images` that show `child`, `both` show `parent`, which stands in `of_parent` images.

    `confirmed` says whether their names confirm it; `alike` that each nearly always comes with the other, as two names
    of one thing do.
    """

    child: str
    parent: str
    both: int
    images: int
    of_parent: int
    confirmed: bool
    alike: bool

    @property
    def figures(self) -> str:
        return (
            f"in {self.both} of {self.images} images with {self.child}; "
            f"{self.child} in {self.both} of {self.of_parent} with {self.parent}"
        )


def mine(
    seen: Sightings, concepts: Sequence[str], skip: Callable[[str], bool] = lambda tag: False
) -> list[MinedImplication]:
    """Pairs of tags of which one says what the other says, by the names of both.

    A pair that no name confirms must come in two concepts or more: else it is a trait of that concept. What spelling and
    table know already is left out.

    Args:
        seen: the tags of images that show one person.
        concepts: the concept of each of them.
        skip: tags of which nothing is to be mined.
    """
    asked = Together(seen)
    counts = asked.counts
    numbers = {concept: place for place, concept in enumerate(dict.fromkeys(concepts))}
    of_image = np.array([numbers[concept] for concept in concepts], np.int64)
    everywhere = counts > EVERYWHERE * max(1, seen.images)
    found = []
    for child in sorted(
        tag for tag, count in zip(seen.tags, counts, strict=True) if count >= AT_LEAST and not skip(tag)
    ):
        showing = asked.showing(child)
        beside = asked.beside(child)
        for place in np.flatnonzero((beside >= ALWAYS * len(showing)) & ~everywhere).tolist():
            parent, back = seen.tags[place], beside[place] / counts[place]
            alike = bool(back >= ALWAYS)
            if (
                parent == child
                or skip(parent)
                or SELDOM < back < ALWAYS
                or (alike and _plainer(child, parent) == child)
            ):
                continue
            confirmed = ends_with(child, parent) and not says_otherwise(child, parent)
            wide = confirmed or len(np.unique(of_image[showing])) > 1
            if wide and not implies(child, parent) and _as_sure(asked, child, parent, showing):
                found.append(
                    MinedImplication(
                        child, parent, int(beside[place]), len(showing), int(counts[place]), confirmed, alike
                    )
                )
    return found


def _as_sure(asked: Together, child: str, parent: str, showing: np.ndarray) -> bool:
    """Whether the general tag is as probable as the exact one where both stand, as a tagger has it that knows both."""
    return asked.mean_score(parent, showing) >= 0.9 * asked.mean_score(child, showing)


def ends_with(child: str, parent: str) -> bool:
    """Whether the last words of `child` are those of `parent`, singular or plural alike, and it has more of them."""
    longer, shorter = ([singular(word) for word in words(tag)] for tag in (child, parent))
    return len(longer) > len(shorter) > 0 and longer[-len(shorter) :] == shorter


def _plainer(one: str, other: str) -> str:
    """Of two names of one thing the one to leave out: fewer words, then fewer letters."""
    return min((one, other), key=lambda tag: (len(words(tag)), len(tag), tag))


def confirmed_pairs(found: Collection[MinedImplication]) -> dict[str, tuple[str, ...]]:
    """Exact tag → tags that are needless beside it, of what was confirmed."""
    pairs: dict[str, list[str]] = {}
    for each in found:
        if each.confirmed:
            pairs.setdefault(each.child, []).append(each.parent)
    return {child: tuple(parents) for child, parents in pairs.items()}
