"""Tags that speak of the file, not of what it shows. They leave the caption and flag the image instead: silence about
a watermark in a caption hides it from the person, not from the training."""

from __future__ import annotations

import functools
from collections.abc import Mapping

from pipeline.tags.vocabulary.aliases import words

_FLAGS = {
    "watermark": "watermark, sample watermark, web address, third-party watermark, logo, bottom watermark, url",
    "signature": "signature, artist name, artist logo, dated, timestamp, copyright notice, company name, circle name, "
    "character signature",
    "text": "text, copyright name, character name, group name, song name, title, subtitled, english text, japanese text, "
    "text focus, text background, wall of text, translated, speech bubble, thought bubble, blank speech bubble, "
    "shared speech bubble, dialogue box, chat log, sound effects, page number, pokedex number, credits, credits page, "
    "user interface, album cover, cover, cover image, cover page, doujin cover, dvd cover, manga cover, novel cover, "
    "magazine cover, fake cover, fake magazine cover, fake screenshot, fake phone screenshot",
    "censored": "censored, censored nipples, mosaic censoring, bar censor, blur censor, light censor, heart censor, "
    "novelty censor",
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


_SHOWN = frozenset(
    {
        "convenient censoring",
        "out-of-frame censoring",
        "hair censor",
        "steam censor",
        "tail censor",
        "soap censor",
        "chaldea logo",
        "rhine lab logo",
    }
)
"""What the picture itself shows, with nothing drawn over it: censoring by what stands in the way, an emblem on clothes."""


@functools.cache
def quality_flag(tag: str) -> str | None:
    """The flag that a tag raises: watermark, signature, text, censored, border, poor file; None for most tags."""
    if tag in _EXACT or tag in _SHOWN:
        return _EXACT.get(tag)
    parts = words(tag)
    if len(parts) > 1 and parts[0] == "spoken":
        return "text"
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
