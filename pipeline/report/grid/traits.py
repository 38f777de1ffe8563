"""The traits that a set taught with each trigger word: those pruned into it, and those that nearly all its images show."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Mapping

from pipeline.store.manifest import Manifest
from pipeline.store.reasons.tags import TagReason

LEAST = 0.5
"""Share of a trigger word's images in which a trait was found, from which it is taken to be its own."""


def traits_of(manifest: Manifest) -> Mapping[str, tuple[str, ...]]:
    """Trigger word → its core tags, the commonest first; none for a word that has no core tags."""
    images: Counter[str] = Counter()
    found: dict[str, Counter[str]] = defaultdict(Counter)
    for row in manifest.decisions("tags").values():
        words = {step.tag for step in row.value if step.is_trigger}
        images.update(words)
        for step in row.value:
            if step.reason in (TagReason.CORE, TagReason.CORE_KEPT) and step.data.get("trigger") in words:
                found[step.data["trigger"]][step.tag] += 1
    return {
        word: tuple(tag for tag, count in found[word].most_common() if count >= LEAST * number)
        for word, number in sorted(images.items())
    }


def training_hashes(manifest: Manifest) -> Mapping[str, str]:
    """Path → PDQ hash of every image that is trained on."""
    measured = manifest.measurements()
    kept = manifest.kept()
    return {
        image.path: measured[image.content].phash
        for image in kept
        if image.content in measured and measured[image.content].phash
    }
