"""What is wrong with an image, as its tags or its pixels say: leave it out, or keep it."""

from __future__ import annotations

from collections.abc import Iterator

from pipeline.review.proposals.proposal import Answer, Deed, Proposal
from pipeline.store.manifest import Manifest
from pipeline.store.reasons.check import DUPLICATES, CheckReason
from pipeline.store.wording import phrase, sentence

FLAG, JUDGED = "flag", "judged"
UNUSABLE = frozenset((CheckReason.MISSING, CheckReason.UNREADABLE, CheckReason.TRUNCATED, CheckReason.DAMAGED))
"""What no decision makes usable."""
BY_PERSON = frozenset((CheckReason.KEPT_BY_USER, CheckReason.EXCLUDED_BY_USER))


def find_flags(manifest: Manifest) -> Iterator[Proposal]:
    """One for every flag of a kept image: a watermark, text, censoring."""
    kept = {image.path for image in manifest.kept()}
    for path, flags in manifest.values("flags", among=kept):
        for flag in flags:
            yield Proposal(
                FLAG,
                flag,
                f"{flag}: {path.rpartition('/')[2]}",
                ("its tags say so; it is in no caption, so the adapter would learn it with the rest",),
                (path,),
                (
                    Answer("leave it out", (Deed((path,), {"keep": False}),)),
                    Answer("keep it", (Deed((path,), {"keep": True}),)),
                ),
                f"flagged {flag}",
                path,
                reject="decide later",
            )


def find_judged(manifest: Manifest) -> Iterator[Proposal]:
    """One for every image that check left out for what was measured of it, which a person may see otherwise."""
    images = {image.path for image in manifest.images()}
    for path, row in manifest.decisions("keep").items():
        reason = CheckReason(row.reason)
        if row.value or path not in images or reason in UNUSABLE | DUPLICATES | BY_PERSON:
            continue
        yield Proposal(
            JUDGED,
            reason.value,
            f"{phrase(row)}: {path.rpartition('/')[2]}",
            (sentence(row),),
            (path,),
            (
                Answer("leave it out", (Deed((path,), {"keep": False}),)),
                Answer("keep it", (Deed((path,), {"keep": True}),)),
            ),
            f"left out as {phrase(row)}",
            path,
            reject="decide later",
        )
