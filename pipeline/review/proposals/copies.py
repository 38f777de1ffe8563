"""Near-copies of which check keeps one: that one, another, or several."""

from __future__ import annotations

from collections.abc import Iterator

from pipeline.review.proposals.proposal import Answer, Deed, Proposal
from pipeline.store.manifest import Manifest
from pipeline.store.reasons.check import CheckReason
from pipeline.store.wording import sentence

KIND = "copies"


def find(manifest: Manifest) -> Iterator[Proposal]:
    """One for every image that is left out as nearly the same as another; those that differ most first."""
    rows = manifest.decisions("keep")
    images = {image.path for image in manifest.images()}
    for path, row in rows.items():
        if row.reason == CheckReason.NEAR_DUPLICATE and not row.value and path in images:
            other = str(row.data["of"])
            yield Proposal(
                KIND,
                other,
                f"{_name(path)} and {_name(other)} are nearly the same",
                (sentence(row),),
                (other, path),
                (
                    Answer("keep the first", (Deed((path,), {"keep": False}),)),
                    Answer("keep the second instead", (Deed((path,), {"keep": True}), Deed((other,), {"keep": False}))),
                    Answer("keep both", (Deed((path, other), {"keep": True}),)),
                ),
                "near-copies",
                path,
                min(1.0, row.data.get("bits", 0) / 64),
                "decide later",
            )


def _name(path: str) -> str:
    return path.rpartition("/")[2]
