"""The caption and the tags of every image as decisions: what a person wrote, else what the rules give."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from pipeline.core.caption_text import read_caption_text
from pipeline.images.duplicate_heirs import heirs, inherited, words_on
from pipeline.store.caption_files import plain
from pipeline.store.manifest import Manifest
from pipeline.store.reasons.captions import CaptionReason, Origin, origin_of
from pipeline.store.reasons.reason import Data
from pipeline.store.reasons.tags import TagReason
from pipeline.store.records import Decision
from pipeline.store.values.contradiction import Contradiction
from pipeline.store.values.tags import TagAction, TagDecision
from pipeline.tags.captions.build import Rules, Subject, caption_tags, with_separator, written
from pipeline.tags.captions.manual_edits import with_manual_edits
from pipeline.tags.statistics.core_tags import Traits
from pipeline.tags.statistics.survey import SurveyedImage


class Manual(NamedTuple):
    """What people wrote: path → caption and → where it came from, whose files cannot be read, and → edits of tags."""

    captions: Mapping[str, str]
    origin: Mapping[str, Data]
    unreadable: frozenset[str]
    manual_edits: Mapping[str, Sequence[Sequence[str]]]
    warnings: tuple[str, ...] = ()

    @property
    def closed(self) -> frozenset[str]:
        """The images whose caption is not for prep to write."""
        return self.unreadable.union(self.captions)


def manual(manifest: Manifest, warnings: tuple[str, ...] = ()) -> Manual:
    """What people wrote in a set; what they wrote for a copy that is dropped is the kept image's, unless it has its own.

    Args:
        warnings: others, to stand before what is found here.
    """
    rows, copies = manifest.decisions("manual_caption"), heirs(manifest)
    texts = {path: plain(row.value) for path, row in rows.items() if row.value is not None}
    edits = {path: row.value for path, row in manifest.decisions("manual_edits").items()}
    unreadable = frozenset(path for path, row in rows.items() if row.value is None)
    given = inherited(copies, texts | dict.fromkeys(unreadable, ""), lambda one, other: not one or one == other)
    changed = inherited(copies, edits, lambda one, other: one == other)
    came = {path: (text, copy) for path, (text, copy) in given.values.items() if text}
    removed = [read_caption_text(row.value).taken_out for row in rows.values() if row.value is not None]
    return Manual(
        texts | {path: text for path, (text, _) in came.items()},
        {path: origin_of(row.data) for path, row in rows.items()}
        | {path: {"origin": Origin.OF_COPY, "copy": copy} for path, (_, copy) in came.items()},
        unreadable,
        edits | {path: value for path, (value, _) in changed.values.items()},
        (*warnings, *words_on("captions", given), *words_on("tag edits", changed), *_syntax(removed)),
    )


def _syntax(removed: Sequence[Sequence[str]]) -> Iterator[str]:
    """What of the syntax of prompts was taken out of captions, with how many held it."""
    counts = Counter(what for each in removed for what in each)
    if counts:
        named = ", ".join(f"{what} in {count}" for what, count in sorted(counts.items()))
        yield f"captions hold what is no caption, and are trained without it: {named}; their files stay as they are"


@dataclass(frozen=True, slots=True, kw_only=True)
class CaptionWriter:
    """What every caption is made from, beside the image itself.

    `media` is folder → the tag for every image below it; `contradictions` are those of an image, of which `fixed`, (image,
    attribute), are fixed; `prefix` puts trigger words before a person's captions; `data` is what a decision says of
    the taggers.
    """

    rules: Rules
    traits: Traits
    manual: Manual
    media: Mapping[str, str]
    contradictions: Mapping[str, Sequence[Contradiction]]
    fixed: frozenset[tuple[str, str]]
    prefix: bool
    data: Data

    def rows(self, image: SurveyedImage) -> Iterator[Decision]:
        """The caption and tags of an image; no caption where the file beside it must not be touched."""
        path, captions = image.path, self.manual.captions
        if path in self.manual.unreadable:
            yield Decision(path, "tags", [], CaptionReason.NOT_UTF8)
        elif path in captions:
            text, rows = written(captions[path], image.triggers, self.prefix, self.rules.separator)
            same = text == captions[path]
            reason = CaptionReason.MANUAL if same else CaptionReason.MANUAL_WITH_TRIGGERS
            yield Decision(path, "caption", text, reason, self.manual.origin[path])
            yield Decision(path, "tags", rows, CaptionReason.MANUAL_TAGS)
        else:
            yield from self._decided(image)

    def _decided(self, image: SurveyedImage) -> Iterator[Decision]:
        """The caption and tags that the rules give an image, and what a person edited of them."""
        path, mark = image.path, self.rules.keep_separator
        fixes = [each for each in self.contradictions.get(path, ()) if (path, each.attribute) in self.fixed]
        media = dict.fromkeys(self.media[part] for part in image.concept.split("/") if part in self.media)
        beside = self.rules.format.beside(image.concept, image.flags)
        subject = Subject(image.triggers, image.leads, image.people, image.one_picture, tuple(media), beside, fixes)
        order, rows = caption_tags(image.ledger, subject, self.rules, self.traits)
        form, categories = self.rules.format, self.rules.categories
        edits = [form.edit(edit, categories, beside) for edit in self.manual.manual_edits.get(path, ())]
        order, rows = with_manual_edits(order, rows, subject.triggers, edits)
        left = len(order) > len(subject.triggers)
        scored = CaptionReason.CHOSEN if left else CaptionReason.NO_TAG_LEFT
        reason = scored if image.scored else CaptionReason.NOT_SCORED
        counts = {"tags": len(order), "considered": len(rows) - len(order)}
        said = with_separator(order, subject.triggers, mark)
        if len(said) > len(order):
            rows = (*rows, TagDecision(mark, TagAction.ADDED, TagReason.KEEP_SEPARATOR))
        yield Decision(path, "caption", self.rules.separator.join(said), reason, counts)
        seen = CaptionReason.SCORED_TAGS if image.scored else CaptionReason.TAGS_WITHOUT_SCORES
        yield Decision(path, "tags", rows, seen, self.data)
