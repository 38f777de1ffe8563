"""Crops that cut much off: held at another place, or the image left out."""

from __future__ import annotations

from collections.abc import Iterator

from pipeline.images.buckets.crop_summary import LARGE_LOSS
from pipeline.review.proposals.proposal import Answer, Deed, Proposal
from pipeline.store.manifest import Manifest
from pipeline.store.values.bucket import Bucket

KIND = "crop"


def find(manifest: Manifest) -> Iterator[Proposal]:
    """One for every kept image that loses a fifth or more to its crop, those that lose most first."""
    kept = {image.path for image in manifest.kept()}
    for path, bucket in manifest.values("bucket", among=kept):
        if bucket.loss >= LARGE_LOSS:
            yield _proposal(path, bucket)


def _proposal(path: str, bucket: Bucket) -> Proposal:
    across = bucket.scaled[0] - bucket.size[0] > bucket.scaled[1] - bucket.size[1]
    places = ("left", "centre", "right") if across else ("top", "centre", "bottom")
    held = [place for place in ("subject", *places) if place != bucket.anchor]
    return Proposal(
        KIND,
        f"{bucket.size[0]}x{bucket.size[1]}:{bucket.anchor}",
        f"{bucket.loss:.0%} of {path.rpartition('/')[2]} is cut off",
        (
            f"{bucket.scaled[0]}×{bucket.scaled[1]} cropped to {bucket.size[0]}×{bucket.size[1]}, held at {bucket.anchor}",
        ),
        (path,),
        (
            *(Answer(f"hold the crop at {_words(place)}", (Deed((path,), {"anchor": place}),)) for place in held),
            Answer("leave the image out", (Deed((path,), {"keep": False}),)),
        ),
        "crops that cut a fifth or more",
        path,
        bucket.loss,
        "the crop is good",
    )


def _words(place: str) -> str:
    return {"subject": "its detail", "centre": "the middle"}.get(place, f"the {place}")
