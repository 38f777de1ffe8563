"""Everything that is known and decided about one image, with why."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

from pipeline.core.humanize import in_words
from pipeline.review.snapshot.cells import cells
from pipeline.review.snapshot.snapshot import Snapshot
from pipeline.store.manifest import Manifest
from pipeline.store.reasons.tags import contradiction_figures
from pipeline.store.records import Decision, Image
from pipeline.store.values.bucket import Bucket
from pipeline.store.wording import phrase, sentence
from pipeline.tags.editor.explain import Asked, gather
from pipeline.tags.editor.spelling import alike
from pipeline.tags.vocabulary.aliases import split_caption

MISSED = 30
"""Tags below their threshold that are shown."""
LOWEST = 0.05

Json = dict[str, Any]


def large_view(snapshot: Snapshot, manifest: Manifest, number: int) -> Json:
    """A cell with all the rest.

    Raises:
        KeyError: the image is not in the set any more.
    """
    row = snapshot.rows[number]
    image = snapshot.images[row]
    decided = {each.field: each for each in manifest.decisions_of(image.path)}
    asked = gather(manifest, image, snapshot.captions[row])
    (cell,) = cells(snapshot, manifest, [number])
    verdict = snapshot.verdicts[row]
    return {
        **cell,
        "reason": sentence(verdict) if verdict is not None else "not judged yet",
        "facts": list(_facts(snapshot, row, image, decided)),
        "bucket": _bucket(decided.get("bucket"), snapshot, row),
        "tags_why": list(_tags(asked)),
        "missed": _missed(asked),
        "wrong": list(_wrong(snapshot, row, decided)),
        "choices": [_choice(each) for name, each in decided.items() if name.startswith("manual_")],
        "copies": _copies(snapshot, row),
        "regularization": _regularization(decided.get("regularization")),
    }


def _facts(snapshot: Snapshot, row: int, image: Image, decided: dict[str, Decision]) -> Iterator[tuple[str, str]]:
    figures = {name: float(column[row]) for name, column in snapshot.figures.items()}
    if not math.isnan(figures["width"]):
        yield "size", f"{figures['width']:.0f}×{figures['height']:.0f}, {in_words(image.bytes)}"
        yield "sharpness", f"{figures['sharpness']:.1f}, contrast {figures['contrast']:.1f}"
    bucket = decided.get("bucket")
    if bucket is not None:
        width, height = bucket.value.size
        yield "trained at", f"{width}×{height}, {bucket.value.loss:.0%} cut off, held at {bucket.value.anchor}"
    repeats = decided.get("repeats")
    if repeats is not None:
        yield "repeats", f"{float(repeats.value.exact):.4g} an epoch; {sentence(repeats)}"
    yield "concept", image.concept
    yield "from", image.source


def _bucket(decided: Decision | None, snapshot: Snapshot, row: int) -> Json | None:
    """The crop as a box in the image's own pixels, with the other places where it could be held."""
    if decided is None or math.isnan(float(snapshot.figures["width"][row])):
        return None
    bucket: Bucket = decided.value
    width, height = float(snapshot.figures["width"][row]), float(snapshot.figures["height"][row])
    others = [_moved(bucket, name) for name in ("left", "centre", "right", "top", "bottom")]
    boxes = [_scaled(box, bucket, width, height) for box in dict.fromkeys(others) if box != bucket.crop]
    return {
        "size": list(bucket.size),
        "box": _scaled(bucket.crop, bucket, width, height),
        "anchor": bucket.anchor,
        "others": [{"box": box, "size": list(bucket.size)} for box in boxes],
    }


def _moved(bucket: Bucket, place: str) -> tuple[int, int, int, int]:
    spare = (bucket.scaled[0] - bucket.size[0], bucket.scaled[1] - bucket.size[1])
    across = {"left": 0, "right": spare[0]}.get(place, spare[0] // 2)
    down = {"top": 0, "bottom": spare[1]}.get(place, spare[1] // 2)
    return across, down, across + bucket.size[0], down + bucket.size[1]


def _scaled(box: tuple[int, int, int, int], bucket: Bucket, width: float, height: float) -> list[float]:
    across, down = width / bucket.scaled[0], height / bucket.scaled[1]
    return [round(box[0] * across, 1), round(box[1] * down, 1), round(box[2] * across, 1), round(box[3] * down, 1)]


def _tags(asked: Asked) -> Iterator[Json]:
    """Tags of the caption in its order, then what curation left out of those that were probable, each with why."""
    best = _best(asked)
    said = list(dict.fromkeys(split_caption(asked.caption)))
    rows = {alike(row.tag): row for row in asked.rows}
    for tag in said:
        row = rows.get(alike(tag))
        why = sentence(row) if row is not None else "a person wrote it" if asked.manual_caption is not None else ""
        yield {"tag": tag, "score": best.get(alike(tag)), "why": why, "action": "kept"}
    there = {alike(tag) for tag in said}
    for row in asked.rows:
        if alike(row.tag) not in there and not row.below_threshold:
            yield {"tag": row.tag, "score": best.get(alike(row.tag)), "why": sentence(row), "action": row.action.value}


def _missed(asked: Asked) -> list[Json]:
    """Tags that were scored and held by no tagger, the most probable first."""
    told = {alike(tag) for tag in split_caption(asked.caption)} | {
        alike(row.tag) for row in asked.rows if not row.below_threshold
    }
    names = {alike(tag): tag for scores in asked.scores.values() for tag in scores}
    found = [
        {"tag": names[key], "score": score, "why": ""}
        for key, score in sorted(_best(asked).items(), key=lambda item: -item[1])
        if key not in told and score >= LOWEST
    ]
    return found[:MISSED]


def _best(asked: Asked) -> dict[str, float]:
    best: dict[str, float] = {}
    for scores in asked.scores.values():
        for tag, score in scores.items():
            best[alike(tag)] = max(score, best.get(alike(tag), 0.0))
    return best


def _wrong(snapshot: Snapshot, row: int, decided: dict[str, Decision]) -> Iterator[str]:
    yield from (f"flag: {flag}" for flag in snapshot.flags[row])
    found = decided.get("contradictions")
    for each in found.value if found is not None else ():
        yield f"{each.attribute}: {contradiction_figures(each.data)}"


def _choice(row: Decision) -> str:
    value = row.value
    if row.field == "manual_edits":
        return "tags: " + "; ".join(" ".join(str(part) for part in edit) for edit in value)
    if row.field == "manual_caption":
        return "the caption"
    return f"{row.field.removeprefix('manual_').replace('_', ' ')}: {value} ({phrase(row)})"


def _copies(snapshot: Snapshot, row: int) -> list[Json]:
    group = int(snapshot.groups[row])
    if group < 0:
        return []
    found = []
    for other in (snapshot.groups == group).nonzero()[0].tolist():
        if other != row:
            image, verdict = snapshot.images[other], snapshot.verdicts[other]
            words = "kept" if snapshot.kept[other] else sentence(verdict) if verdict is not None else ""
            found.append({"id": snapshot.ids[other], "path": image.path, "content": image.content, "words": words})
    return found


def _regularization(decided: Decision | None) -> Json | None:
    if decided is None:
        return None
    first = decided.value.images[0]
    return {"path": first.path, "words": f"{first.caption or 'no caption'} ({sentence(decided)})"}
