"""Tags that speak of the file, not of what it shows. They leave the caption and flag the image instead: silence about
a watermark in a caption hides it from the person, not from the training."""

from __future__ import annotations

import functools
from collections.abc import Mapping

from pipeline.tags.vocabulary.aliases import words

_FLAGS = {
    "watermark": "watermark, sample watermark, web address, third-party watermark, logo, bottom watermark, url",
    "signature": "signature, artist name, artist logo, dated, copyright notice",
    "text": "text, copyright name, character name, subtitled, english text, japanese text, text focus, translated, "
    "speech bubble, user interface, album cover, cover, cover page, magazine cover, fake screenshot",
    "censored": "censored, mosaic censoring, bar censor, blur censor, light censor, heart censor, novelty censor",
    "border": "border, letterboxed, pillarboxed, windowboxed, outside border, framed, black bars",
    "poor file": "jpeg artifacts, lowres, scan artifacts, upscaled, resized, md5 mismatch, image sample, "
    "bad aspect ratio, decensored, third-party edit",
}
_EXACT = {tag.strip(): flag for flag, text in _FLAGS.items() for tag in text.split(",")}
_LAST_WORD = {
    "watermark": "watermark",
    "logo": "watermark",
    "username": "signature",
    "text": "text",
    "border": "border",
    "censor": "censored",
    "censoring": "censored",
    "artifacts": "poor file",
}


@functools.cache
def quality_flag(tag: str) -> str | None:
    """The flag that a tag raises: watermark, signature, text, censored, border, poor file; None for most tags."""
    if tag in _EXACT:
        return _EXACT[tag]
    parts = words(tag)
    return _LAST_WORD.get(parts[-1]) if len(parts) > 1 else None


def flags_of(tags: Mapping[str, float]) -> dict[str, dict[str, float]]:
    """Flag → the tags that raise it with their probabilities, the most probable first, in the order of flags.

    Args:
        tags: tag → probability of those that hold for an image.
    """
    raised: dict[str, list[tuple[float, str]]] = {}
    for tag, flag in zip(tags, map(quality_flag, tags), strict=True):
        if flag:
            raised.setdefault(flag, []).append((-tags[tag], tag))
    return {flag: {tag: -score for score, tag in sorted(raised[flag])} for flag in _FLAGS if flag in raised}
