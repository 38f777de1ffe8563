"""Images that are shown far more often than the others: a cap on their repeats."""

from __future__ import annotations

from collections.abc import Iterator

from pipeline.concepts.balance_warnings import ADVISED_REPEATS, MANY_REPEATS
from pipeline.review.proposals.proposal import Answer, Deed, Proposal
from pipeline.store.manifest import Manifest

KIND = "repeats"


def find(manifest: Manifest) -> Iterator[Proposal]:
    """One for every concept whose images are shown fifty times as often as the least shown, or more."""
    concepts = {image.path: image.concept for image in manifest.kept()}
    exact = {path: float(repeats.exact) for path, repeats in manifest.values("repeats", among=concepts)}
    if not exact:
        return
    least = min(exact.values())
    many: dict[str, list[str]] = {}
    for path, value in exact.items():
        if value >= MANY_REPEATS * least:
            many.setdefault(concepts[path], []).append(path)
    for concept, paths in sorted(many.items(), key=lambda item: -max(exact[path] for path in item[1])):
        most, advised = max(exact[path] for path in paths), ADVISED_REPEATS * least
        yield Proposal(
            KIND,
            concept,
            f"{len(paths)} image{'s' if len(paths) != 1 else ''} of {concept} shown {most:.4g} times an epoch",
            (f"the least shown image is shown {least:.4g} times; seen so often, an image is learned by heart",),
            tuple(paths),
            (Answer(f"show each {advised:.4g} times at most", (Deed(tuple(paths), {"repeats": advised}),)),),
            "shown too often",
            reject="it is meant so",
        )
