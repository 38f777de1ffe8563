"""Edits of many captions at once: planned for every image, then recorded as one run.

Where curation writes the caption, they are kept and made on it again (`pipeline.tags.captions.manual_edits`) and hold for every
later one.
Where a person wrote it, its text is changed, and its other words stay as they were.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from pipeline.core.errors import PrepError
from pipeline.store.caption_files import plain, write_captions
from pipeline.store.manifest import Manifest
from pipeline.store.reasons.captions import CaptionReason, origin_of
from pipeline.store.reasons.tags import TagReason
from pipeline.store.records import Decision
from pipeline.store.tables.rows import columns_of
from pipeline.store.values.tags import TagAction, TagDecision
from pipeline.tags.captions.build import with_separator, written
from pipeline.tags.captions.manual_edits import (
    ADD,
    REMOVE,
    REPLACE,
    Edit,
    amended,
    apply,
    by_user,
    given,
    laid_out,
)
from pipeline.tags.editor.caption_text import edited as edited_text
from pipeline.tags.editor.spelling import alike, categories_of
from pipeline.tags.formats.choice import CaptionFormat, recorded_format
from pipeline.tags.vocabulary.aliases import split_caption

NAME = "tags"
CHANGED, TEXT_CHANGED = "caption_changed", "manual_caption_changed"
FOR_LATER, AS_IT_WAS, NO_CAPTION = "for_later", "as_it_was", "no_caption_yet"


@dataclass(frozen=True, slots=True)
class Changed:
    """A caption before and after."""

    path: str
    before: str
    after: str
    by_person: bool


@dataclass(slots=True)
class Edited:
    """What edits would change: rows as `Manifest.put_back` takes them, the captions that differ, and what happened how
    often. Values are text, as the tags of a large set would fill the memory otherwise."""

    rows: list[tuple[str, str, str | None, str | None, str | None]] = field(default_factory=list)
    changed: list[Changed] = field(default_factory=list)
    counts: Counter[str] = field(default_factory=Counter)

    def put(self, decision: Decision) -> None:
        """A decision to make."""
        self.rows.append(columns_of(decision))

    def drop(self, path: str, name: str) -> None:
        """A decision to take away."""
        self.rows.append((path, name, None, None, None))


def plan_edits(manifest: Manifest, paths: Iterable[str], edits: Sequence[Edit]) -> Edited:
    """What edits change in the captions of images.

    Raises:
        PrepError: one of them takes a trigger word away; these come from the settings.
    """
    run = manifest.last_run("curate")
    separator = str(run.options.get("separator", ", ")) if run is not None else ", "
    form = recorded_format(run.options if run is not None else {})
    categories = {} if form.plain else categories_of(manifest)
    found = Edited()
    refused: dict[str, list[str]] = {}
    for path in paths:
        decided = _decided(manifest, path)
        for word in _triggers_hit(decided.get("tags"), edits):
            refused.setdefault(word, []).append(path)
        manual = decided.get("manual_caption")
        if manual is not None and manual.value is None:
            found.counts[CaptionReason.NOT_UTF8.value] += 1
        elif manual is not None:
            _edit_text(found, path, manual.value, decided, edits, separator)
        else:
            _edit_tags(found, path, decided, edits, _Writing(form, categories, separator))
    if refused:
        word, held = next(iter(refused.items()))
        raise PrepError(
            f"{word} is a trigger word of {len(held)} of these images, such as {held[0]}",
            "trigger words come from the settings: change [curate] triggers in prep.toml, then run prep curate",
        )
    return found


def _decided(manifest: Manifest, path: str) -> dict[str, Decision]:
    return {
        row.field: row for row in manifest.decisions_of(path, ("caption", "manual_caption", "manual_edits", "tags"))
    }


def _rows_of(tags: Decision | None) -> list[TagDecision]:
    return list(tags.value) if tags is not None else []


def _triggers_of(rows: Iterable[TagDecision]) -> tuple[str, ...]:
    return tuple(row.tag for row in rows if row.is_trigger)


def _triggers_hit(tags: Decision | None, edits: Iterable[Edit]) -> list[str]:
    """Trigger words that edits would take away."""
    targets = {alike(edit[1]) for edit in edits if edit[0] != ADD}
    return [word for word in _triggers_of(_rows_of(tags)) if alike(word) in targets]


# --- captions that curation writes


@dataclass(frozen=True, slots=True)
class _Writing:
    """How the last curation wrote captions, with tag → category where the format asks for it."""

    form: CaptionFormat
    categories: Mapping[str, str]
    separator: str

    def of(self, edits: Iterable[Edit], rows: Iterable[TagDecision]) -> list[Edit]:
        """Edits in the words of the captions; `rows` tell which stand beside the tags."""
        stay = {row.tag for row in rows if row.reason == TagReason.FORMAT_WORD}
        return [self.form.edit(edit, self.categories, stay) for edit in edits]


def _edit_tags(
    found: Edited, path: str, decided: Mapping[str, Decision], edits: Sequence[Edit], writing: _Writing
) -> None:
    edits = [edit for edit in edits if edit[0] != REPLACE or edit[1] != edit[2]]
    rows, caption = _rows_of(decided.get("tags")), decided.get("caption")
    mark = next((row.tag for row in rows if row.reason == TagReason.KEEP_SEPARATOR), "")
    rows = [row for row in rows if row.reason != TagReason.KEEP_SEPARATOR]
    triggers, own = _triggers_of(rows), given(rows)
    names = {row.data["to"]: row.tag for row in rows if row.reason == TagReason.FORMAT and "to" in row.data}
    before = decided["manual_edits"].value if "manual_edits" in decided else []
    manual: list[Edit] = [tuple(each) for each in before]
    called = [names.get(tag, tag) for tag in own]
    for edit in edits:
        manual = amended(manual, edit, called, triggers)
    _keep_manual_edits(found, path, [tuple(each) for each in before], manual)
    if caption is None:
        found.counts[NO_CAPTION] += 1
        return
    held = [tag for tag in split_caption(caption.value) if tag != mark]
    order = apply(held, triggers, writing.of(edits, rows))[0]
    if order == held:
        found.counts[FOR_LATER if manual != [tuple(each) for each in before] else AS_IT_WAS] += 1
        return
    text = writing.separator.join(with_separator(order, triggers, mark))
    rows = list(_rows_after(order, rows, apply(own, triggers, writing.of(manual, rows))[1]))
    bare = len(order) <= len(triggers)
    scored = CaptionReason.NO_TAG_LEFT if bare else CaptionReason.CHOSEN
    reason = CaptionReason.NOT_SCORED if caption.reason == CaptionReason.NOT_SCORED else scored
    counts = {"tags": len(order), "considered": len(rows) - len(order)}
    found.put(Decision(path, "caption", text, reason, counts))
    tags = decided.get("tags")
    if tags is not None:
        separator_row = TagDecision(mark, TagAction.ADDED, TagReason.KEEP_SEPARATOR)
        found.put(replace(tags, value=[*rows, separator_row] if mark else rows))
    found.changed.append(Changed(path, caption.value, text, False))
    found.counts[CHANGED] += 1


def _keep_manual_edits(found: Edited, path: str, before: list[Edit], after: list[Edit]) -> None:
    if after == before:
        return
    if after:
        found.put(Decision(path, "manual_edits", after, CaptionReason.EDITED, {"edits": after}))
    else:
        found.drop(path, "manual_edits")


def _rows_after(
    order: Sequence[str], rows: Iterable[TagDecision], own: Iterable[TagDecision]
) -> tuple[TagDecision, ...]:
    """The rows of an image whose manual edits changed: curation's own, and those of the edits that hold now.

    What an earlier edit took out and this one brings back has lost its figures until the next curation.
    """
    by_tag = {row.tag: row for row in rows if not by_user(row)} | {row.tag: row for row in own}
    back = {tag: TagDecision(tag, TagAction.KEPT, TagReason.USER_RESTORED) for tag in order if tag not in by_tag}
    return laid_out(order, by_tag | back)


# --- captions that a person wrote


def _edit_text(
    found: Edited, path: str, text: str, decided: Mapping[str, Decision], edits: Sequence[Edit], separator: str
) -> None:
    after = edited_text(text, edits)
    if after == text:
        found.counts[AS_IT_WAS] += 1
        return
    edited = {"edits": list(edits)}
    found.put(Decision(path, "manual_caption", after, CaptionReason.EDITED, edited))
    caption, tags = decided.get("caption"), decided.get("tags")
    reason = caption.reason if caption is not None else CaptionReason.MANUAL
    now = plain(after)
    if reason == CaptionReason.MANUAL_WITH_TRIGGERS:
        now, _ = written(now, _triggers_of(_rows_of(tags)), True, separator)
    found.put(Decision(path, "caption", now, reason, origin_of(edited)))
    if tags is not None:
        found.put(replace(tags, value=_rows_by_person(_rows_of(tags), edits)))
    found.changed.append(Changed(path, plain(text), plain(after), True))
    found.counts[TEXT_CHANGED] += 1


def _rows_by_person(rows: list[TagDecision], edits: Iterable[Edit]) -> list[TagDecision]:
    """The rows of a person's caption, which say of every tag that she wrote it."""
    for what, tag, *others in edits:
        there = {alike(row.tag) for row in rows}
        if what == ADD and alike(tag) not in there:
            rows = [*rows, TagDecision(tag, TagAction.KEPT, TagReason.MANUAL)]
        elif what == REPLACE and alike(others[0]) not in there:
            rows = [row._replace(tag=others[0]) if alike(row.tag) == alike(tag) else row for row in rows]
        elif what in (REMOVE, REPLACE):
            rows = [row for row in rows if alike(row.tag) != alike(tag)]
    return rows


# --- recording


def record(manifest: Manifest, edited: Edited, options: Mapping[str, Any]) -> int:
    """Put the rows down as one run and write the captions; returns the run's number."""
    with manifest.transaction():
        run = manifest.begin_run(NAME, options)
        manifest.put_back(run, edited.rows)
        manifest.finish_run(run, edited.counts)
    write_captions(manifest, run)
    return run
