"""What a person should know about a set once its images are judged."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence

from pipeline.images.quality import bars, is_named
from pipeline.store.reasons.check import CheckReason
from pipeline.store.records import Decision, Image, Measurement


def warnings(
    images: Sequence[Image],
    measured: Mapping[str, Measurement],
    verdicts: Mapping[str, Decision],
    named: Mapping[str, Sequence[str]],
) -> list[str]:
    """Warnings on the set as a whole; `named` is option → the paths and patterns that it names."""
    warnings = [
        f"{option} names {pattern!r}, which is no image of the set"
        for option, patterns in named.items()
        for pattern in patterns
        if not any(is_named(image.path, (pattern,)) for image in images)
    ]
    missing = [path for path, verdict in verdicts.items() if verdict.reason == CheckReason.MISSING]
    if missing:
        warnings.append(
            f"{len(missing)} of {len(images)} images are gone from the set, such as {missing[0]}; "
            "prep flatten brings them back"
        )
    standing = [image for image in images if verdicts[image.path].value]
    concepts = {image.concept for image in standing}
    warnings += [f"no image of {concept} is kept" for concept in sorted({image.concept for image in images} - concepts)]
    total = Counter(image.concept for image in standing)
    turned = Counter(image.concept for image in standing if measured[image.content].orientation != 1)
    warnings += [
        f"{count} of {total[concept]} images of {concept} are turned by EXIF, the others are not: look whether all "
        "of them stand upright"
        for concept, count in sorted(turned.items())
        if count < total[concept]
    ]
    letterboxed = sum(bool(bars(measured[image.content])) for image in standing)
    if letterboxed:
        warnings.append(
            f"{letterboxed} of {len(standing)} kept images are letterboxed, and bars are learned like anything else; "
            "crop them, or leave them out with --letterbox drop"
        )
    return warnings
