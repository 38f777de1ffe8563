"""What is proposed, with its evidence, to be accepted or rejected singly or all alike."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping

from pipeline.review.deciding import acts
from pipeline.review.deciding.recording import settled_of
from pipeline.review.desk import Desk
from pipeline.review.pages.page import Page
from pipeline.review.proposals.finding import KINDS, open_proposals
from pipeline.review.proposals.proposal import Proposal
from pipeline.review.server.answers import Document, reading, writing
from pipeline.review.snapshot.snapshot import Snapshot

SHOWN = 8
"""Images of a proposal that its card shows."""
WORDS = {kind.name: kind.words for kind in KINDS}


def _proposals(desk: Desk, asked: Mapping[str, str]) -> Document:
    snapshot = desk.snapshot()
    found = desk.kept_for_version("proposals", lambda manifest: list(open_proposals(manifest, settled_of(manifest))))
    counts = Counter(each.kind for each in found)
    kinds = [
        {"name": kind.name, "words": kind.words, "count": counts[kind.name]} for kind in KINDS if counts[kind.name]
    ]
    places = {image.path: row for row, image in enumerate(snapshot.images)}
    return {"kinds": kinds, "proposals": [_card(each, snapshot, places) for each in found]}


def _card(found: Proposal, snapshot: Snapshot, places: Mapping[str, int]) -> Document:
    rows = [places[path] for path in found.images if path in places]
    images = [
        {
            "path": snapshot.images[row].path,
            "name": snapshot.images[row].path.rpartition("/")[2],
            "caption": snapshot.captions[row],
            "thumb": f"thumb/{snapshot.images[row].content}.webp",
        }
        for row in rows[:SHOWN]
    ]
    return {
        "kind": found.kind,
        "kind_words": WORDS[found.kind],
        "key": found.key,
        "about": found.about,
        "title": found.title,
        "evidence": list(found.evidence),
        "images": images,
        "more": max(0, len(rows) - SHOWN),
        "answers": [each.words for each in found.answers],
        "reject": found.reject,
        "group": found.group,
    }


PAGE = Page("proposals", "Proposals", (reading("proposals", _proposals), writing("settle", acts.settle)))
