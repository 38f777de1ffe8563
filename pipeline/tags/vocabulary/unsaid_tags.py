"""Tags that are in no caption unless asked for, whichever tagger or board gave them: about the file, or given up by the
board since."""

from __future__ import annotations

import functools
import re

META, DEPRECATED = "meta", "deprecated"
_META_TEXT = (
    "highres, absurdres, incredibly absurdres, huge filesize, wide image, tall image, long image, commentary, "
    "partial commentary, mixed-language commentary, symbol-only commentary, untranslatable commentary, hashtag-only "
    "commentary, hard-translated, hard-translated (non-english), check translation, check commentary, check artist, "
    "check character, check copyright, bad id, bad link, bad source, duplicate, pixel-perfect duplicate, revision, "
    "variant set, third-party source, source larger, resolution mismatch, tagme, artist self-insert request, paid "
    "reward available, paid reward, second-party source, ai-assisted, ai-generated, banned artist, scan, has "
    "lossless revision, has downscaled revision, has censored revision, has uncensored revision, annotated, non-web "
    "source, spoilers, photoshop (medium), partially translated, commentary typo, has watermarked revision, source "
    "mismatch, animated, animated gif, animated png, video, sound, has audio"
)
_META = frozenset(_META_TEXT.split(", "))
_META_FORM = re.compile(
    r"bad [\w.]+ id|[\w-]+ commentary|"
    r"(?:partial )?(?:translation|commentary|annotation|artist|character|copyright|source) request"
)
_DEPRECATED = frozenset(["bangs", "eyewear", "legwear", "neckwear"])


@functools.cache
def unsaid(tag: str) -> str | None:
    """`meta` for a tag about the file, `deprecated` for one that Danbooru gave up because it told too little (`bangs`,
    `legwear`); None for most."""
    tag = tag.replace("_", " ")
    if tag in _DEPRECATED:
        return DEPRECATED
    return META if tag in _META or _META_FORM.fullmatch(tag) else None
