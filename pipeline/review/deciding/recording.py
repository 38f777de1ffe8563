"""Choices written down as one run: a person's own rows, and what the stages make of them for these very images."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from pipeline.images.on_disk import missing_images
from pipeline.images.quality import judge
from pipeline.review.deciding.choices import CAPTION, FIELDS, TAG_EDITS, edits_of, words
from pipeline.review.deciding.stages_now import stage_named, wanted_now
from pipeline.review.proposals.proposal import Deed
from pipeline.stages import check
from pipeline.store.caption_files import manual_caption, write_captions
from pipeline.store.manifest import Manifest
from pipeline.store.reasons.captions import Origin
from pipeline.store.reasons.choices import ChoiceReason
from pipeline.store.records import Decision
from pipeline.store.tables.decisions import Row
from pipeline.store.tables.rows import columns_of
from pipeline.tags.editor.bulk_edits import plan_edits
from pipeline.tags.editor.filters import Filter, select

NAME = "review"
PLANNED_BY = {
    "anchor": ("bucket", ("bucket",)),
    "repeats": ("balance", ("repeats",)),
    CAPTION: ("curate", ("caption", "tags")),
}
"""Choice → the stage that knows what it comes to, and the fields that say so."""


def record(manifest: Manifest, deeds: Sequence[Deed], settled: Iterable[tuple[str, str, str]] = ()) -> tuple[int, str]:
    """Write deeds down; returns the run's number, 0 where all holds already, and what was done in words.

    Args:
        settled: (image or the set, kind, key) of proposals that this answers.
    Raises:
        PrepError: a deed cannot be done; nothing is written then.
    """
    told: list[str] = []
    with manifest.transaction():
        run = manifest.begin_run(NAME, {"choices": [_option(deed) for deed in deeds]})
        changed = 0
        for deed in deeds:
            ((what, value),) = deed.choice.items()
            rows = _rows(manifest, what, value, deed.paths)
            changed += manifest.put_back(run, rows)
            changed += manifest.put_back(run, _came_of(manifest, what, value, deed.paths))
            told.append(words(what, value, len(deed.paths)))
        changed += manifest.put_back(run, _settled(manifest, settled))
        if changed:
            manifest.finish_run(run, {"decided_by_person": changed})
        else:
            manifest.drop_run(run)
    if not changed:
        return 0, "it holds already: " + "; ".join(told)
    write_captions(manifest, run)
    return run, "; ".join(told) or "noted"


def _option(deed: Deed) -> dict[str, Any]:
    return {**deed.choice, "images": list(deed.paths[:20]), "count": len(deed.paths)}


def _rows(manifest: Manifest, what: str, value: Any, paths: Sequence[str]) -> Iterable[Row]:
    """The person's own rows."""
    if what in FIELDS:
        if value is None:
            return [(path, FIELDS[what], None, None, None) for path in paths]
        return [columns_of(Decision(path, FIELDS[what], value, ChoiceReason.BY_PERSON)) for path in paths]
    if what == CAPTION:
        if value is None:
            return [(path, field, None, None, None) for path in paths for field in ("manual_caption", "caption")]
        origin = {"origin": Origin.CHANGED}
        return [columns_of(row) for path in paths for row in manual_caption(path, value, origin)]
    assert what in TAG_EDITS, what
    names = select(manifest, Filter()).names
    meant = [names.of(tag, board=what != "add" or not names.is_known(tag)) for tag in value]
    return plan_edits(manifest, paths, edits_of(what, meant)).rows


def _came_of(manifest: Manifest, what: str, value: Any, paths: Sequence[str]) -> list[Row]:
    """What the stages make of it for these images alone; what it comes to for others is left to them."""
    if what == "keep":
        return _judged(manifest, paths)
    if what not in PLANNED_BY or (what == CAPTION and value is not None):
        return []
    name, fields = PLANNED_BY[what]
    if manifest.last_run(name) is None:
        return []
    found, wanted = stage_named(name), set(paths)
    plan = found.plan(manifest, wanted_now(manifest.root, found).options)
    return [columns_of(row) for row in plan.decisions if row.path in wanted and row.field in fields]


def _judged(manifest: Manifest, paths: Sequence[str]) -> list[Row]:
    """The verdicts on these images by themselves; whether they are copies of others is for check to say."""
    rules, wanted = check.rules_of(wanted_now(manifest.root, check.STAGE).options), set(paths)
    chosen = dict(manifest.values("manual_keep", among=wanted))
    images = [image for image in manifest.images() if image.path in wanted]
    measured = manifest.measurements({image.content for image in images})
    gone = missing_images(manifest.root, images)
    return [
        columns_of(judge(image, None if image.path in gone else measured[image.content], rules, chosen.get(image.path)))
        for image in images
        if image.content in measured
    ]


def _settled(manifest: Manifest, settled: Iterable[tuple[str, str, str]]) -> list[Row]:
    """What was answered before and now, by image."""
    held: dict[str, list[list[str]]] = {}
    before = dict(manifest.values("settled"))
    for about, kind, key in settled:
        known = held.setdefault(about, [list(each) for each in before.get(about, [])])
        if [kind, key] not in known:
            known.append([kind, key])
    return [columns_of(Decision(about, "settled", value, ChoiceReason.BY_PERSON)) for about, value in held.items()]


def settled_of(manifest: Manifest) -> Mapping[str, list[tuple[str, str]]]:
    """Image or the set → (kind, key) of the proposals that were answered."""
    return {path: [(kind, key) for kind, key in value] for path, value in manifest.values("settled")}
