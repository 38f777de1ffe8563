"""Why images were kept or not."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any

from pipeline.store.migrations.to_4.sentences.parse import (
    NUMBER,
    SIZE,
    Coded,
    Sentence,
    as_recorded,
    read,
    share,
    side_by_side,
)

_LIMITS: Mapping[str, Callable[[str], Any]] = {
    "size": side_by_side,
    "least": float,
    "most": float,
    "aspect": float,
    "upscaled": float,
    "resolution": int,
}
_MEASURED = re.compile(
    rf"{SIZE}, sharpness (?P<sharpness>\d+), contrast (?P<contrast>\d+)"
    r"(?:, enlarged (?P<upscaled>[\d.]+) times for (?P<resolution>\d+)²)?"
)
_BARS = re.compile(r"(\d+) px (above|below|left|right)")
_SIDES = {"above": "top", "below": "bottom", "left": "left", "right": "right"}
_UPSCALED = rf"{SIZE}, enlarged (?P<upscaled>[\d.]+) times > (?P<most>{NUMBER}) for (?P<resolution>\d+)²"
_BIT_KINDS: Mapping[str, Callable[[str], Any]] = {"bits": int, "size": side_by_side}
_NEAR = rf"(?P<bits>\d+) of 256 bits from the {SIZE} (?P<of>.+)"
SENTENCES: Mapping[str, Sentence] = {
    "missing": Sentence("missing", ".*"),
    "unreadable": Sentence("unreadable", "(?P<problem>.*)"),
    "truncated": Sentence("truncated", "(?P<problem>.*)"),
    "left out by you": Sentence("excluded_by_user", SIZE, _LIMITS),
    "too small": Sentence("too_small", rf"{SIZE}, shorter side below (?P<least>\d+)", {**_LIMITS, "least": int}),
    "too long": Sentence("too_long", rf"{SIZE}, aspect (?P<aspect>[\d.]+) > (?P<most>{NUMBER})", _LIMITS),
    "too small for the area": Sentence("too_small_for_area", _UPSCALED, _LIMITS),
    "flat": Sentence("flat", rf"contrast (?P<contrast>[\d.]+) < (?P<least>{NUMBER})", {**_LIMITS, "contrast": float}),
    "blurry": Sentence(
        "blurry", rf"sharpness (?P<sharpness>[\d.]+) < (?P<least>{NUMBER})", {**_LIMITS, "sharpness": float}
    ),
    "animated": Sentence("animated", r"(?P<frames>\d+) frames", {"frames": int}),
    "several frames, first taken": Sentence("first_frame", r"(?P<frames>\d+) frames", {"frames": int}),
    "transparent, hides colours": Sentence(
        "coloured_alpha", r"(?P<share>[\d.]+)% clear but not white below, put on white", {"share": share}
    ),
    "transparent, put on white": Sentence("transparent"),
    "CMYK, made RGB": Sentence("cmyk", "(?P<profile>.*)"),
    "colour profile broken, ignored": Sentence("broken_profile"),
    "colour profile, made sRGB": Sentence("colour_profile", "(?P<profile>.*)"),
    "turned by EXIF": Sentence("exif_rotated", r"orientation (?P<orientation>\d+)", {"orientation": int}),
    "duplicate": Sentence("duplicate", "same content as (?P<of>.+)"),
    "near-duplicate": Sentence("near_duplicate", _NEAR, _BIT_KINDS),
    "duplicate of a training picture": Sentence("duplicate_of_training", "same content as (?P<of>.+)"),
    "near-duplicate of a training picture": Sentence("near_duplicate_of_training", _NEAR, _BIT_KINDS),
}
_BARS_ARE = {"letterboxed": "letterboxed", "letterboxed, left out": "letterboxed_excluded"}
_KEPT = {"good": "good", "kept by you": "kept_by_user"}


def keep(phrase: str, figures: str) -> Coded:
    """A verdict with its own figures, those measured of a kept image, and what else holds of it."""
    first, _, others = figures.partition("; also ")
    also = [_another(each) for each in others.split("; ")] if others else []
    found = _first(phrase, first)
    if found is None or any(other.code == "as_recorded" for other in also):
        return as_recorded(phrase, figures)
    return Coded(found.code, {**found.data, **({"also": also} if also else {})})


def _first(phrase: str, figures: str) -> Coded | None:
    own, measured = figures, _MEASURED.search(figures)
    data: dict[str, Any] = {}
    if measured is not None and measured.end() == len(figures):
        own, data = figures[: measured.start()].removesuffix(", "), {"measured": _measured(measured)}
    if phrase in _KEPT:
        return Coded(_KEPT[phrase], data) if data and not own else None
    found = _own(phrase, own)
    return None if found.code == "as_recorded" else Coded(found.code, {**found.data, **data})


def _measured(found: re.Match[str]) -> dict[str, Any]:
    data: dict[str, Any] = {"size": side_by_side(found["size"])}
    data |= {"sharpness": int(found["sharpness"]), "contrast": int(found["contrast"])}
    if found["upscaled"] is not None:
        data |= {"upscaled": float(found["upscaled"]), "resolution": int(found["resolution"])}
    return data


def _own(phrase: str, figures: str) -> Coded:
    if phrase in _BARS_ARE:
        bars = {_SIDES[where]: int(pixels) for pixels, where in _BARS.findall(figures)}
        return Coded(_BARS_ARE[phrase], bars) if bars else as_recorded(phrase, figures)
    bits = re.fullmatch(r"(\d+) bits, scaled to 8", phrase)
    if bits is not None:
        return Coded("deep_colour", {"bits": int(bits[1]), "mode": figures})
    return read(SENTENCES, phrase, figures)


def _another(text: str) -> Coded:
    """`turned by EXIF (orientation 6)`"""
    found = re.fullmatch(r"(?P<phrase>.+?) \((?P<figures>.*)\)", text, re.DOTALL)
    return _own(text, "") if found is None else _own(found["phrase"], found["figures"])
