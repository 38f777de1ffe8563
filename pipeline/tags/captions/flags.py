"""What is to be known of an image beside its caption, as rows."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence

from pipeline.store.records import Decision
from pipeline.tags.statistics.contradictions import Contradiction
from pipeline.tags.statistics.survey import SurveyedImage


def flag_rows(images: Iterable[SurveyedImage]) -> Iterator[Decision]:
    """A row for every image whose tags speak of its file: a watermark, a signature, text, a border."""
    for image in images:
        if image.flags:
            names, seen = list(image.flags), "; ".join(image.flags.values())
            yield Decision(image.path, "flags", names, f"flagged: {', '.join(names)}", seen)


def contradiction_rows(
    odd: Mapping[str, Sequence[Contradiction]], mended: Collection[tuple[str, str]]
) -> Iterator[Decision]:
    """A row for every image that is at odds with the others of its concept, or with itself.

    Args:
        odd: image → what contradicts in it.
        mended: (image, slot) of what is mended.
    """
    for path, found in odd.items():
        value = [each.as_json((path, each.slot) in mended) for each in found]
        slots = list(dict.fromkeys(each.slot for each in found))
        done = [slot for slot in slots if (path, slot) in mended]
        left = [slot for slot in slots if slot not in done]
        said = ("at odds: " + ", ".join(left) if left else "", "mended: " + ", ".join(done) if done else "")
        evidence = "; ".join(each.figures for each in found)
        yield Decision(path, "contradictions", value, "; ".join(filter(None, said)), evidence)
