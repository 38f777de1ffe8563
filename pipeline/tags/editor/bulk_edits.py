"""Edits of many captions at once: planned for every image, then recorded as one run.

Where curation writes the caption, the edits are laid over it (`pipeline.tags.captions.manual_edits`) and hold for every
later one.
Where a person wrote it, its text is changed, and its other words stay as they were.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from pipeline.core.errors import PrepError
from pipeline.store.caption_files import NOT_UTF8, WRITTEN, plain, write_captions
from pipeline.store.manifest import Manifest
from pipeline.store.records import Decision
from pipeline.tags.captions.build import with_separator
from pipeline.tags.captions.ledger import ADDED, KEPT, SEPARATES, TRIGGER, Row
from pipeline.tags.captions.manual_edits import (
    ADD,
    REMOVE,
    REPLACE,
    Edit,
    amended,
    apply,
    by_you,
    given,
    in_words,
    laid_out,
)
from pipeline.tags.editor.caption_text import edited as edited_text
from pipeline.tags.editor.spelling import alike
from pipeline.tags.vocabulary.aliases import split_caption

NAME = "tags"
REASON = "edited with prep tags"
PUT_BACK = "put back by you"
CHANGED, TEXT_CHANGED = "caption changed", "caption by a person changed"
FOR_LATER = "nothing to change now, holds for later captions"
AS_IT_WAS = "as it was"
NO_CAPTION = "no caption yet, holds when there is one"


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

    def put(self, path: str, name: str, value: Any, reason: str, evidence: str) -> None:
        """A decision to make."""
        self.rows.append((path, name, json.dumps(value, ensure_ascii=False), reason, evidence))

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
    found = Edited()
    refused: dict[str, list[str]] = {}
    for path in paths:
        decided = _decided(manifest, path)
        for word in _triggers_hit(decided.get("tags"), edits):
            refused.setdefault(word, []).append(path)
        human = decided.get("human")
        if human is not None and human.value is None:
            found.counts[NOT_UTF8] += 1
        elif human is not None:
            _edit_text(found, path, human.value, decided, edits)
        else:
            _edit_overlay(found, path, decided, edits, separator)
    if refused:
        word, held = next(iter(refused.items()))
        raise PrepError(
            f"{word} is a trigger word of {len(held)} of these images, such as {held[0]}",
            "trigger words come from the settings: change [curate] triggers in prep.toml, then run prep curate",
        )
    return found


def _decided(manifest: Manifest, path: str) -> dict[str, Decision]:
    return {row.field: row for row in manifest.decisions_of(path, ("caption", "human", "overlay", "tags"))}


def _rows_of(tags: Decision | None) -> list[Row]:
    return [(str(tag), str(action), str(reason)) for tag, action, reason in tags.value] if tags is not None else []


def _triggers_of(rows: Iterable[Row]) -> tuple[str, ...]:
    return tuple(tag for tag, action, reason in rows if (action, reason) == (ADDED, TRIGGER))


def _triggers_hit(tags: Decision | None, edits: Iterable[Edit]) -> list[str]:
    """Trigger words that edits would take away."""
    targets = {alike(edit[1]) for edit in edits if edit[0] != ADD}
    return [word for word in _triggers_of(_rows_of(tags)) if alike(word) in targets]


# --- captions that curation writes


def _edit_overlay(
    found: Edited, path: str, decided: Mapping[str, Decision], edits: Sequence[Edit], separator: str
) -> None:
    edits = [edit for edit in edits if edit[0] != REPLACE or edit[1] != edit[2]]
    rows, caption = _rows_of(decided.get("tags")), decided.get("caption")
    mark = next((tag for tag, action, reason in rows if (action, reason) == (ADDED, SEPARATES)), "")
    rows = [row for row in rows if row[2] != SEPARATES]
    triggers, own = _triggers_of(rows), given(rows)
    before = decided["overlay"].value if "overlay" in decided else []
    overlay: list[Edit] = [tuple(each) for each in before]
    for edit in edits:
        overlay = amended(overlay, edit, own, triggers)
    _keep_overlay(found, path, [tuple(each) for each in before], overlay)
    if caption is None:
        found.counts[NO_CAPTION] += 1
        return
    held = [tag for tag in split_caption(caption.value) if tag != mark]
    order = apply(held, triggers, edits)[0]
    if order == held:
        found.counts[FOR_LATER if overlay != [tuple(each) for each in before] else AS_IT_WAS] += 1
        return
    text = separator.join(with_separator(order, triggers, mark))
    rows = list(_rows_after(order, rows, apply(own, triggers, overlay)[1]))
    bare = len(order) <= len(triggers)
    reason = caption.reason if caption.reason == "not scored" else "no tag is left" if bare else "chosen"
    evidence = f"{len(order)} tags, {len(rows) - len(order)} more considered"
    found.put(path, "caption", text, reason, evidence)
    tags = decided.get("tags")
    if tags is not None:
        marked = [*rows, (mark, ADDED, SEPARATES)] if mark else rows
        found.put(path, "tags", [list(row) for row in marked], tags.reason, tags.evidence)
    found.changed.append(Changed(path, caption.value, text, False))
    found.counts[CHANGED] += 1


def _keep_overlay(found: Edited, path: str, before: list[Edit], after: list[Edit]) -> None:
    if after == before:
        return
    if after:
        value = [list(each) for each in after]
        found.put(path, "overlay", value, REASON, in_words(after))
    else:
        found.drop(path, "overlay")


def _rows_after(order: Sequence[str], rows: Iterable[Row], own: Iterable[Row]) -> tuple[Row, ...]:
    """The rows of an image whose overlay changed: curation's own, and those of the overlay that holds now.

    What an earlier edit took out and this one brings back has lost its figures until the next curation.
    """
    by_tag = {row[0]: row for row in rows if not by_you(row[2])} | {row[0]: row for row in own}
    back = {tag: (tag, KEPT, PUT_BACK) for tag in order if tag not in by_tag}
    return laid_out(order, by_tag | back)


# --- captions that a person wrote


def _edit_text(found: Edited, path: str, text: str, decided: Mapping[str, Decision], edits: Sequence[Edit]) -> None:
    after = edited_text(text, edits)
    if after == text:
        found.counts[AS_IT_WAS] += 1
        return
    evidence = in_words(edits)
    found.put(path, "human", after, REASON, evidence)
    caption, tags = decided.get("caption"), decided.get("tags")
    front = caption.value.removesuffix(plain(text)) if caption is not None and caption.reason != WRITTEN else ""
    reason = caption.reason if caption is not None else WRITTEN
    found.put(path, "caption", front + plain(after), reason, evidence)
    if tags is not None:
        rows = _rows_by_person(_rows_of(tags), edits)
        found.put(path, "tags", [list(row) for row in rows], tags.reason, tags.evidence)
    found.changed.append(Changed(path, plain(text), plain(after), True))
    found.counts[TEXT_CHANGED] += 1


def _rows_by_person(rows: list[Row], edits: Iterable[Edit]) -> list[Row]:
    """The rows of a person's caption, which say of every tag that she wrote it."""
    for what, tag, *others in edits:
        there = {alike(row[0]) for row in rows}
        if what == ADD and alike(tag) not in there:
            rows = [*rows, (tag, KEPT, WRITTEN)]
        elif what == REPLACE and alike(others[0]) not in there:
            rows = [(others[0], *row[1:]) if alike(row[0]) == alike(tag) else row for row in rows]
        elif what in (REMOVE, REPLACE):
            rows = [row for row in rows if alike(row[0]) != alike(tag)]
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
