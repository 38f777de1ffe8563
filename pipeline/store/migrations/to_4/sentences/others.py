"""Captions, buckets, regularization images, taggers, and what else was decided."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

from pipeline.store.migrations.to_4.sentences.parse import Coded, Sentence, as_recorded, read, share

_TAGS = Sentence("", r"(?P<tags>\d+) tags, (?P<considered>\d+) more considered", {"tags": int, "considered": int})
_CHOSEN = {"chosen": "chosen", "not scored": "not_scored", "no tag is left": "no_tag_left"}
_MANUAL = {
    "written by a person": "manual_caption",
    "written by a person, trigger words put in front": "manual_with_triggers",
}
_ORIGINS = {"came with the picture": "came_with_image", "a new file": "new_file"}
EVENTS = {
    "written by curation": "written",
    "came with the picture": "came_with_image",
    "edited by a person": "edited_file",
    "deleted by a person": "deleted",
    "put back": "restored",
    "put back by a person": "restored_by_user",
}
"""What happened to a caption file."""
_BUCKET = re.compile(
    r"(?P<image>\d+×\d+) at (?P<scale>[\d.e+-]+) to (?P<size>\d+×\d+), (?P<loss>[\d.]+)% cut away"
    r"(?:, moved (?P<moved>.+))?"
)
_SCALED = {"size as it is": "unscaled", "reduced": "downscaled", "enlarged": "upscaled"}
_WAYS = {"right": (0, 1), "left": (0, -1), "down": (1, 1), "up": (1, -1)}
_REGULARIZED = {"same caption": "same_caption", "caption without trigger words": "without_triggers"}
_SEEDS = re.compile(r"seeds? (?P<seeds>[\d, ]+), (?P<steps>\d+) DDIM steps, guidance (?P<guidance>[\d.e+-]+)")
_SUPPLIED = {
    "given pictures": Sentence(
        "user_supplied",
        r"(?P<images>\d+) in turn, cropped by (?P<mean_loss>[\d.]+)% on average, (?P<worst_loss>[\d.]+)% at most",
        {"images": int, "mean_loss": share, "worst_loss": share},
    )
}


PHRASES: Mapping[str, str] = {
    **_CHOSEN,
    **_MANUAL,
    **_SCALED,
    **_REGULARIZED,
    "caption file is not UTF-8": "not_utf8",
    "edited with prep tags": "edited",
    "no scores": "tags_without_scores",
    "tags by a person": "manual_tags",
    "used last": "used_last",
    "given pictures": "user_supplied",
}
"""Phrases without figures in them → codes."""


def caption(phrase: str, figures: str) -> Coded:
    """Of captions, as files and as they hold."""
    if phrase in _MANUAL:
        origin = _ORIGINS.get(figures)
        changed = {"origin": "changed", "changes": figures} if figures else {}
        return Coded(_MANUAL[phrase], {"origin": origin} if origin else changed)
    if phrase == "caption file is not UTF-8":
        size = re.fullmatch(r"(\d+) bytes", figures)
        return Coded("not_utf8", {"bytes": int(size[1])} if size else {})
    if phrase == "edited with prep tags":
        edits = edits_of(figures)
        return as_recorded(phrase, figures) if edits is None else Coded("edited", {"edits": edits})
    found = _TAGS.read(figures)
    if phrase in _CHOSEN and found is not None:
        return Coded(_CHOSEN[phrase], found.data)
    return as_recorded(phrase, figures)


def edits_of(text: str) -> list[list[str]] | None:
    """`+smile, -hat, boots → red boots` as edits."""
    found = []
    for part in text.split(", "):
        old, arrow, new = part.partition(" → ")
        if arrow:
            found.append(["replace", old, new])
        elif part[:1] in "+-" and len(part) > 1:
            found.append(["add" if part[0] == "+" else "remove", part[1:]])
        else:
            return None
    return found


def image_tags(phrase: str, figures: str) -> Coded:
    """Of all tags of an image."""
    taggers = figures.split(" + ") if figures else []
    if phrase.startswith("scores by "):
        return Coded("scored_tags", {"by": phrase.removeprefix("scores by ").split(" + "), "taggers": taggers})
    if phrase == "no scores":
        return Coded(
            "tags_without_scores", {"by": [tagger.partition("@")[0] for tagger in taggers], "taggers": taggers}
        )
    plain = {"tags by a person": "manual_tags", "caption file is not UTF-8": "not_utf8"}
    return Coded(plain[phrase], {}) if phrase in plain else as_recorded(phrase, figures)


def bucket(value: Mapping[str, Any], phrase: str, figures: str) -> Coded:
    scaled, cropped, kept = phrase.partition(" and cropped")
    found = _BUCKET.fullmatch(figures)
    if scaled not in _SCALED or found is None:
        return as_recorded(phrase, figures)
    image, size = ([int(side) for side in found[name].split("×")] for name in ("image", "size"))
    data: dict[str, Any] = {"image": image, "scale": float(found["scale"]), "size": size, "loss": value["loss"]}
    if kept:
        data["anchor"] = value.get("anchor", kept.removeprefix(", ").removesuffix(" kept"))
    if found["moved"]:
        data["moved"] = _moved(found["moved"])
    return Coded(_SCALED[scaled] + ("_cropped" if cropped else ""), data)


def _moved(text: str) -> list[int]:
    """`12 px right, 3 px up` as [12, -3]."""
    moved = [0, 0]
    for pixels, way in re.findall(r"(\d+) px (right|left|down|up)", text):
        axis, sign = _WAYS[way]
        moved[axis] = sign * int(pixels)
    return moved


def tagger(phrase: str, figures: str) -> Coded:
    pairs = [each.partition(": sha256 ") for each in figures.split("; ")] if figures else []
    if phrase != "used last":
        return as_recorded(phrase, figures)
    return Coded("used_last", {"checksums": [(name, checksum) for name, _, checksum in pairs]})


def regularization(phrase: str, figures: str) -> Coded:
    found = _SEEDS.fullmatch(figures)
    if phrase in _REGULARIZED and found is not None:
        seeds = [int(seed) for seed in found["seeds"].split(", ")]
        made = {"seeds": seeds, "steps": int(found["steps"]), "guidance": float(found["guidance"])}
        return Coded(_REGULARIZED[phrase], made)
    return read(_SUPPLIED, phrase, figures)


def flags(value: Sequence[str], phrase: str, figures: str) -> Coded:
    raised = [_tags(text) for text in figures.split("; ")]
    if len(raised) != len(value) or None in raised:
        return as_recorded(phrase, figures)
    return Coded("flagged", {"flags": list(zip(value, raised, strict=True))})


def _tags(text: str) -> list[tuple[str, float]] | None:
    """`watermark 0.92, logo 0.40`"""
    found = [re.fullmatch(r"(.+) ([\d.]+)", each) for each in text.split(", ")]
    return [(each[1], float(each[2])) for each in found if each] if all(found) else None


def truncated(phrase: str, figures: str) -> Coded:
    limit = re.fullmatch(r"tags beyond (\d+) tokens", phrase)
    over = re.fullmatch(r"(\d+) tokens more than are read", figures)
    if limit is None or over is None:
        return as_recorded(phrase, figures)
    return Coded("truncated_tags", {"limit": int(limit[1]), "over": int(over[1])})
