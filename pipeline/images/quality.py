"""The verdict on an image by itself: whether its measurements reach what is asked, and what a person says of it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any, Literal, NamedTuple

from pipeline.core.filenames import fits_pattern
from pipeline.store.reasons.check import CheckReason
from pipeline.store.reasons.reason import NOTHING, Data
from pipeline.store.records import Decision, Image, Measurement

MIN_BARS = 0.02
"""Share of a side that bars take at least; less is a frame line or an uneven edge."""
MIN_HIDDEN = 0.001
_UNDECODABLE = {"truncated": CheckReason.TRUNCATED, "damaged": CheckReason.DAMAGED}
"""The word that a problem begins with → the reason; what begins otherwise is unreadable."""


@dataclass(frozen=True, slots=True, kw_only=True)
class QualityRules:
    """What is asked of an image; the options of `prep check` say what each means. `keep` and `drop` are a person's."""

    min_side: int
    max_aspect: float
    max_upscale: float | None
    min_sharpness: float
    min_contrast: float
    animated: Literal["first", "drop"]
    letterbox: Literal["keep", "drop"]
    resolution: int
    keep: tuple[str, ...]
    drop: tuple[str, ...]


def judge(image: Image, found: Measurement | None, rules: QualityRules, chosen: bool | None = None) -> Decision:
    """The verdict on an image by itself: the gravest reason, and in its data the other ones.

    Args:
        chosen: what a person decided about this very image, which goes before all patterns; None for nothing.
    """

    def verdict(keep: bool, reason: CheckReason, data: Data = NOTHING) -> Decision:
        return Decision(image.path, "keep", keep, reason, data)

    if found is None:
        return verdict(False, CheckReason.MISSING)
    if found.problem:
        reason = _UNDECODABLE.get(found.problem.partition(":")[0], CheckReason.UNREADABLE)
        return verdict(False, reason, {"problem": found.problem})
    faults, info = list(_faults(found, rules)), list(_info(found, rules))
    if is_named(image.path, rules.drop) if chosen is None else not chosen:
        return verdict(False, CheckReason.EXCLUDED_BY_USER, {"size": _size(found)})
    measured = {"measured": _measured(found, rules)}
    if is_named(image.path, rules.keep) if chosen is None else chosen:
        return verdict(True, CheckReason.KEPT_BY_USER, measured | _also([*faults, *info]))
    if faults:
        return verdict(False, faults[0].reason, {**faults[0].data, **_also([*faults[1:], *info])})
    if info:
        return verdict(True, info[0].reason, {**info[0].data, **measured, **_also(info[1:])})
    return verdict(True, CheckReason.GOOD, measured)


class Finding(NamedTuple):
    """What holds of an image, and the figures that show it."""

    reason: CheckReason
    data: Data = NOTHING


def _also(others: list[Finding]) -> dict[str, Any]:
    """What else holds of the image."""
    return {"also": others} if others else {}


def _size(found: Measurement) -> tuple[int, int]:
    return found.width, found.height


def _measured(found: Measurement, rules: QualityRules) -> dict[str, Any]:
    data: dict[str, Any] = {
        "size": _size(found),
        "sharpness": round(found.sharpness),
        "contrast": round(found.contrast),
    }
    upscaled = _upscaled(found, rules)
    return data | ({"upscaled": round(upscaled, 2), "resolution": rules.resolution} if upscaled > 1 else {})


def _faults(found: Measurement, rules: QualityRules) -> Iterator[Finding]:
    """For what an image is dropped, the gravest first."""
    size, (short, long) = _size(found), sorted(_size(found))
    if short < rules.min_side:
        yield Finding(CheckReason.TOO_SMALL, {"size": size, "least": rules.min_side})
    if long / short > rules.max_aspect:
        aspect = {"aspect": round(long / short, 2), "most": rules.max_aspect}
        yield Finding(CheckReason.TOO_LONG, {"size": size, **aspect})
    upscaled = _upscaled(found, rules)
    if rules.max_upscale is not None and upscaled > rules.max_upscale:
        most = {"upscaled": round(upscaled, 2), "most": rules.max_upscale, "resolution": rules.resolution}
        yield Finding(CheckReason.TOO_SMALL_FOR_AREA, {"size": size, **most})
    if found.contrast < rules.min_contrast:
        yield Finding(CheckReason.FLAT, {"contrast": round(found.contrast, 1), "least": rules.min_contrast})
    if found.sharpness < rules.min_sharpness:
        yield Finding(CheckReason.BLURRY, {"sharpness": round(found.sharpness, 1), "least": rules.min_sharpness})
    if rules.animated == "drop" and found.frames > 1:
        yield Finding(CheckReason.ANIMATED, {"frames": found.frames})
    if rules.letterbox == "drop" and (found_bars := bars(found)):
        yield Finding(CheckReason.LETTERBOXED_EXCLUDED, found_bars)


def _info(found: Measurement, rules: QualityRules) -> Iterator[Finding]:
    """What a kept image is or had done to it, what matters most first."""
    if rules.letterbox == "keep" and (found_bars := bars(found)):
        yield Finding(CheckReason.LETTERBOXED, found_bars)
    if rules.animated == "first" and found.frames > 1:
        yield Finding(CheckReason.FIRST_FRAME, {"frames": found.frames})
    if found.hidden >= MIN_HIDDEN:
        yield Finding(CheckReason.COLOURED_ALPHA, {"share": round(found.hidden, 3), **_below(found)})
    elif found.transparent:
        yield Finding(CheckReason.TRANSPARENT, _below(found))
    if found.mode == "CMYK":
        yield Finding(CheckReason.CMYK, {"profile": found.profile})
    elif found.profile == "broken":
        yield Finding(CheckReason.BROKEN_PROFILE)
    elif found.profile and not found.profile.startswith("sRGB"):
        yield Finding(CheckReason.COLOUR_PROFILE, {"profile": found.profile})
    if found.bits > 8:
        yield Finding(CheckReason.DEEP_COLOUR, {"bits": found.bits, "mode": found.mode})
    if found.orientation != 1:
        yield Finding(CheckReason.EXIF_ROTATED, {"orientation": found.orientation})


def _below(found: Measurement) -> dict[str, str]:
    """The background, where it is not white."""
    return {} if found.background in ("", "#ffffff") else {"background": found.background}


def _upscaled(found: Measurement, rules: QualityRules) -> float:
    """How many times its width an image is upscaled to have the area that is trained at."""
    return float(rules.resolution / (found.width * found.height) ** 0.5)


def bars(found: Measurement) -> dict[str, int]:
    """How wide the bars along opposite edges are in pixels, by side; nothing where there are none."""
    pairs = (
        ({"top": found.bar_top, "bottom": found.bar_bottom}, found.height),
        ({"left": found.bar_left, "right": found.bar_right}, found.width),
    )
    sides: dict[str, int] = {}
    for pair, side in pairs:
        if all(pair.values()) and sum(pair.values()) >= MIN_BARS * side:
            sides |= pair
    return sides


def is_named(path: str, patterns: Iterable[str]) -> bool:
    """Whether a person named the path, as it is or by a pattern; brackets in a real name are no pattern."""
    return any(fits_pattern(path, pattern) for pattern in patterns)
