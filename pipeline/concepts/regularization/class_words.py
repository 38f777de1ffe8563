"""What a regularization image is asked for: the caption of its image, with the trigger words kept, left out, or replaced by
the word for what they are one of: `Lumi, smile` is of the class `1girl, smile`."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal, NamedTuple

from pipeline.core.caption_text import split_tags
from pipeline.core.filenames import fits_concept
from pipeline.store.reasons.tagging import RegularizationReason
from pipeline.store.reasons.tags import TagReason
from pipeline.store.values.tags import TagAction, TagDecision


class Prompt(NamedTuple):
    """A text and why it is so."""

    text: str
    reason: RegularizationReason


@dataclass(frozen=True, slots=True, kw_only=True)
class ClassWords:
    """Which class words take the places of which trigger words.

    `word` is that of all trigger words but those of styles, `words` those of single ones: a trigger word, or a pattern of
    concepts, goes before `word`. `trigger` says what becomes of trigger words that have none.
    """

    word: str = ""
    words: Mapping[str, str] = field(default_factory=dict)
    styles: Sequence[str] = ()
    trigger: Literal["keep", "remove"] = "keep"
    way_to_keep: str = "--trigger keep"
    """What to type for trigger words to be kept."""

    @property
    def any(self) -> bool:
        return bool(self.word or self.words)

    def is_style(self, concept: str) -> bool:
        return any(fits_concept(concept, pattern) for pattern in self.styles)

    def of(self, concept: str, trigger: str = "") -> str:
        """The class word of a trigger word in a concept, of the concept itself if none is given; "" where there is none."""
        for key, word in self.words.items():
            if key.casefold() == trigger.casefold():
                return word
        for key, word in self.words.items():
            if fits_concept(concept, key):
                return word
        return "" if self.is_style(concept) else self.word

    def idle(self, concepts: Sequence[str], triggers: Sequence[str]) -> Iterator[str]:
        """The keys of `words` that are no trigger word and fit no concept."""
        known = {trigger.casefold() for trigger in triggers}
        for key in self.words:
            if key.casefold() not in known and not any(fits_concept(concept, key) for concept in concepts):
                yield key

    def prompt(self, caption: str, tags: Sequence[TagDecision], concept: str) -> Prompt:
        """What stands for a caption: it, without the mark behind its trigger words, and with these as asked.

        Args:
            tags: curation's rows about the caption, by which its trigger words are known.
        Returns:
            The text, which is empty where nothing of the caption is left.
        """
        marks = {row.tag for row in tags if row.action == TagAction.ADDED and row.reason == TagReason.KEEP_SEPARATOR}
        triggers = [row.tag for row in tags if row.action == TagAction.ADDED and row.reason == TagReason.TRIGGER]
        words = {trigger: self.of(concept, trigger) for trigger in triggers}
        removed = {trigger for trigger, word in words.items() if not word and self.trigger == "remove"}
        lines = [self._line(line, words, marks | removed) for line in caption.split("\n")]
        text, replaced = "\n".join(filter(None, (line for line, _ in lines))), any(changed for _, changed in lines)
        if replaced or (not text and self.of(concept)):
            return Prompt(text or self.of(concept), RegularizationReason.CLASS_WORD)
        reason = RegularizationReason.WITHOUT_TRIGGERS if removed else RegularizationReason.SAME_CAPTION
        return Prompt(text if marks or removed else caption, reason)

    @staticmethod
    def _line(line: str, words: Mapping[str, str], out: Collection[str]) -> tuple[str, bool]:
        """A line of a caption with its trigger words replaced, as tags or within a sentence, and whether any was."""
        tags = [tag for tag in split_tags(line) if tag not in out]
        said = [_replaced(tag, words) for tag in tags]
        return ", ".join(_once(said) if said != tags else tags), said != tags


def _replaced(text: str, words: Mapping[str, str]) -> str:
    """A tag or a sentence with the trigger words that it is, or holds as whole words, replaced by their class words."""
    for trigger, word in words.items():
        if word and trigger in text:
            text = word.join(re.split(rf"(?<!\w){re.escape(trigger)}(?!\w)", text))
    return text


def _once(tags: Sequence[str]) -> list[str]:
    """The tags without those that stand there again: a class word is often a tag of the caption too, as 1girl is."""
    seen = dict[str, str]()
    for tag in tags:
        seen.setdefault(tag.casefold(), tag)
    return list(seen.values())
