"""All proposals of a set: what every kind finds, without what a person settled."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass

from pipeline.core.errors import PrepError
from pipeline.review.proposals import (
    contradictions,
    copies,
    core_traits,
    crops,
    faults,
    implied,
    many_repeats,
    spelling,
)
from pipeline.review.proposals.proposal import Proposal
from pipeline.store.manifest import Manifest


@dataclass(frozen=True, slots=True)
class Kind:
    """A kind of proposals: `words` is its title, `find` finds them."""

    name: str
    words: str
    find: Callable[[Manifest], Iterable[Proposal]]


KINDS = (
    Kind(contradictions.KIND, "Contradictions", contradictions.find),
    Kind(spelling.KIND, "Spelling", spelling.find),
    Kind(faults.FLAG, "Quality flags", faults.find_flags),
    Kind(copies.KIND, "Near-copies", copies.find),
    Kind(faults.JUDGED, "Left out by check", faults.find_judged),
    Kind(crops.KIND, "Crops that cut", crops.find),
    Kind(core_traits.KIND, "Core traits", core_traits.find),
    Kind(implied.KIND, "Implied pairs", implied.find),
    Kind(many_repeats.KIND, "Repeats", many_repeats.find),
)
"""In the order in which they are worth settling: captions' errors, images, then what is a matter of taste."""


def open_proposals(
    manifest: Manifest, settled: Mapping[str, Iterable[tuple[str, str]]], kinds: Collection[str] | None = None
) -> Iterator[Proposal]:
    """What is still to be decided, kind by kind, the most urgent of each first.

    Args:
        settled: image, or the whole set → (kind, key) of what was answered or rejected there.
        kinds: names of the kinds that are looked for; all if not given.
    """
    done = {(about, kind, key) for about, held in settled.items() for kind, key in held}
    for kind in KINDS if kinds is None else [each for each in KINDS if each.name in kinds]:
        found = [each for each in kind.find(manifest) if (each.about, each.kind, each.key) not in done]
        yield from sorted(found, key=lambda each: -each.urgency)


def one(proposals: Iterable[Proposal], kind: str, key: str, about: str) -> Proposal:
    """The proposal of this name.

    Raises:
        PrepError: it is settled, or what it was about is not so any more.
    """
    for each in proposals:
        if (each.kind, each.key, each.about) == (kind, key, about):
            return each
    raise PrepError("this proposal is settled, or what it was about has changed", "look at the list again")
