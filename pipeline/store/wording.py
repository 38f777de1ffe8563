"""Reasons in English: the one place where codes and data become words for people."""

from __future__ import annotations

from collections.abc import Mapping

from pipeline.store.reasons import balance, bucket, captions, check, choices, counts, placement, tagging, tags
from pipeline.store.reasons.reason import RECORDED, Cause, Data, Reason, Reasoned, Words

_WORDS: Mapping[Reason, Words] = {
    **RECORDED,
    **placement.WORDS,
    **check.WORDS,
    **choices.WORDS,
    **bucket.WORDS,
    **tagging.WORDS,
    **tags.WORDS,
    **captions.WORDS,
    **balance.WORDS,
}
_COUNTED: Mapping[str, str] = {reason.value: words.counted or str(words.phrase) for reason, words in _WORDS.items()}


def phrase(said: Reasoned) -> str:
    """The reason in a few words, such as `near-duplicate`."""
    words = _told(_WORDS[said.reason].phrase, said.data)
    return tags.tag_words(said.data, words) if isinstance(said.reason, tags.TagReason) else words


def figures(said: Reasoned) -> str:
    """What stands behind the reason, such as `sharpness 9.0 < 40.0`; "" where nothing does."""
    own, measured = _told(_WORDS[said.reason].figures, said.data), said.data.get("measured")
    first = ", ".join(filter(None, (own, check.measured(measured) if measured else "")))
    others = "; ".join(_also(Cause(check.CheckReason(code), data)) for code, data in said.data.get("also", ()))
    return f"{first}; also {others}" if others else first


def _also(cause: Cause) -> str:
    behind = figures(cause)
    return f"{phrase(cause)} ({behind})" if behind else phrase(cause)


def sentence(said: Reasoned) -> str:
    """The reason and what stands behind it: `blurry: sharpness 9.0 < 40.0`."""
    return ": ".join(filter(None, (phrase(said), figures(said))))


def rule(said: Reasoned) -> str:
    """What a tag's reason says without the figures and the other tags that set it apart from its like."""
    return _told(tags.RULES.get(said.reason, _WORDS[said.reason].phrase), said.data)


def counted(key: str) -> str:
    """What is counted, in words: the code of a reason, or another count's key, after a colon what it is about."""
    code, _, about = key.partition(":")
    words = counts.WORDS.get(code) or _COUNTED.get(code)
    return key.replace("_", " ") if words is None else words.format(about)


def _told(words: object, data: Data) -> str:
    return str(words(data)) if callable(words) else str(words).format_map(data)
