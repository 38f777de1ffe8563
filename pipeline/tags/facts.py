"""What is to be known of a picture beside its caption, as rows."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence

from pipeline.records import Decision
from pipeline.tags.contradictions import Contradiction
from pipeline.tags.survey import Picture


def flag_rows(pictures: Iterable[Picture]) -> Iterator[Decision]:
    """A row for every picture whose tags speak of its file: a watermark, a signature, text, a border."""
    for picture in pictures:
        if picture.flags:
            names, seen = list(picture.flags), "; ".join(picture.flags.values())
            yield Decision(picture.path, "flags", names, f"flagged: {', '.join(names)}", seen)


def contradiction_rows(
    odd: Mapping[str, Sequence[Contradiction]], mended: Collection[tuple[str, str]]
) -> Iterator[Decision]:
    """A row for every picture that is at odds with the others of its concept, or with itself.

    Args:
        odd: picture → what contradicts in it.
        mended: (picture, slot) of what is mended.
    """
    for path, found in odd.items():
        value = [each.as_json((path, each.slot) in mended) for each in found]
        slots = list(dict.fromkeys(each.slot for each in found))
        done = [slot for slot in slots if (path, slot) in mended]
        left = [slot for slot in slots if slot not in done]
        said = ("at odds: " + ", ".join(left) if left else "", "mended: " + ", ".join(done) if done else "")
        evidence = "; ".join(each.figures for each in found)
        yield Decision(path, "contradictions", value, "; ".join(filter(None, said)), evidence)
