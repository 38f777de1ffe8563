"""Thresholds tried on the stored scores: what each category would hold, and captions that would change; then kept."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np

from pipeline.core.errors import PrepError
from pipeline.core.humanize import counted
from pipeline.review.deciding.stages_now import keep_and_run, wanted_now
from pipeline.review.desk import Desk
from pipeline.review.pages.page import Page
from pipeline.review.server.answers import Document, reading, writing
from pipeline.review.snapshot.scores import Scores
from pipeline.review.snapshot.snapshot import Snapshot
from pipeline.stages import curate
from pipeline.store.manifest import Manifest
from pipeline.tags.captions.thresholds import limits_of

CATEGORIES = ("general", "character")
BINS = 40
CHANGED = 24
"""Tags that are shown, those that change most."""
EXAMPLES = 3
MOST_PLANNED = 3000
"""Kept images up to which captions are planned whole while a slider moves; it takes a second or two."""


def _options(desk: Desk) -> curate.Options:
    options: curate.Options = wanted_now(desk.root, curate.STAGE).options
    return options


def _published(manifest: Manifest) -> dict[str, float]:
    """What the newest tagger's thresholds are by category, as published for it."""
    taggers = list(manifest.taggers().values())
    if not taggers:
        raise PrepError("no image was scored yet", f"run first: prep tag {manifest.root}")
    limits = limits_of(taggers[-1], {}, {})
    return {category: float(limits.categories.get(category, limits.categories["general"])) for category in CATEGORIES}


def _show(desk: Desk, asked: Mapping[str, str]) -> Document:
    """The thresholds that hold, those that are published, and how probabilities are spread in each category."""
    options, published = _options(desk), desk.read(_published)
    snapshot, scores = desk.snapshot(), desk.scores()
    kept = {image.content for image, held in zip(snapshot.images, snapshot.kept, strict=True) if held}
    rows = []
    for category in CATEGORIES:
        values = [
            score
            for key, held in scores.by_tag.items()
            if scores.categories[key] == category
            for content, score in held.items()
            if content in kept
        ]
        spread, _ = np.histogram(values, BINS, (0.0, 1.0))
        given = getattr(options, category)
        rows.append(
            {
                "category": category,
                "now": published[category] if given is None else given,
                "published": published[category],
                "given": given is not None,
                "spread": spread.tolist(),
            }
        )
    return {"categories": rows, "fixed": options.threshold == "fixed"}


def _asked(sent: Document) -> dict[str, float | None]:
    found: dict[str, float | None] = {}
    for category in CATEGORIES:
        value = sent.get(category)
        if value is not None and (not isinstance(value, int | float) or isinstance(value, bool) or not 0 <= value <= 1):
            raise PrepError(f"the threshold of {category} is {value!r}", "give 0 to 1")
        found[category] = None if value is None else float(value)
    return found


def _try(desk: Desk, sent: Document) -> Document:
    """What other thresholds would hold; nothing is written."""
    wanted, options, published = _asked(sent), _options(desk), desk.read(_published)
    snapshot, scores = desk.snapshot(), desk.scores()
    before = {
        each: published[each] if getattr(options, each) is None else getattr(options, each) for each in CATEGORIES
    }
    after = {each: published[each] if wanted[each] is None else wanted[each] for each in CATEGORIES}
    rows = _counts(snapshot, scores, before, after)
    kept = int(snapshot.kept.sum())
    totals = sum(old for _, old, _ in rows), sum(new for _, _, new in rows)
    words = f"{totals[0] / max(1, kept):.1f} tags an image hold now, {totals[1] / max(1, kept):.1f} would"
    found: Document = {
        "words": words,
        "tags": [
            {"tag": scores.names[key], "before": old, "after": new}
            for key, old, new in sorted(rows, key=lambda row: (-abs(row[2] - row[1]), row[0]))[:CHANGED]
            if old != new
        ],
    }
    if kept > MOST_PLANNED:
        return {**found, "captions": [], "more": f"captions of {counted(kept, 'image')} are planned when they are kept"}
    other = replace(options, general=wanted["general"], character=wanted["character"])
    now = desk.kept_for_version(f"captions by {options}", lambda manifest: _planned(manifest, options))
    return {**found, **_captions(snapshot, now, desk.read(lambda manifest: _planned(manifest, other)))}


def _counts(
    snapshot: Snapshot, scores: Scores, before: Mapping[str, Any], after: Mapping[str, Any]
) -> list[tuple[str, int, int]]:
    """(tag, kept images that reach the threshold now, and that would) of every tag of the categories."""
    kept = {image.content for image, held in zip(snapshot.images, snapshot.kept, strict=True) if held}
    rows = []
    for key, held in scores.by_tag.items():
        category = scores.categories[key]
        if category in CATEGORIES:
            values = [score for content, score in held.items() if content in kept]
            old = sum(1 for score in values if score >= before[category])
            rows.append((key, old, sum(1 for score in values if score >= after[category])))
    return rows


def _planned(manifest: Manifest, options: curate.Options) -> dict[str, str]:
    """The captions that options come to."""
    return {row.path: str(row.value) for row in curate.plan(manifest, options).decisions if row.field == "caption"}


def _captions(snapshot: Snapshot, now: Mapping[str, str], planned: Mapping[str, str]) -> Document:
    """How many captions would change, and three of them with both texts."""
    changed = [
        {
            "path": image.path,
            "content": image.content,
            "thumb": f"thumb/{image.content}.webp",
            "before": now.get(image.path, ""),
            "after": new,
        }
        for image in snapshot.images
        if (new := planned.get(image.path)) is not None and new != now.get(image.path)
    ]
    step = max(1, len(changed) // EXAMPLES)
    return {"captions": changed[::step][:EXAMPLES], "more": f"{counted(len(changed), 'caption')} would change"}


def _keep(desk: Desk, sent: Document) -> Document:
    """Write the thresholds into prep.toml, and the captions by them."""
    wanted = _asked(sent)
    replace(_options(desk), general=wanted["general"], character=wanted["character"])
    with desk.write() as manifest:
        given = {category: value for category, value in wanted.items() if value is not None}
        outcome = keep_and_run(manifest, curate.STAGE, given)
    return {"run": 0, "words": f"thresholds kept in prep.toml; {outcome.changed:,} decisions changed"}


PAGE = Page(
    "thresholds",
    "Thresholds",
    (reading("thresholds", _show), writing("thresholds/try", _try), writing("thresholds/keep", _keep)),
)
