"""Why an image is kept or not."""

from __future__ import annotations

from pipeline.store.reasons.reason import Data, Reason, Table, Words, size

HASH_BITS = 256
_SIDES = {"top": "above", "bottom": "below", "left": "left", "right": "right"}


class CheckReason(Reason):
    GOOD = "good"
    KEPT_BY_USER = "kept_by_user"
    EXCLUDED_BY_USER = "excluded_by_user"
    MISSING = "missing"
    UNREADABLE = "unreadable"
    TRUNCATED = "truncated"
    DAMAGED = "damaged"
    TOO_SMALL = "too_small"
    TOO_LONG = "too_long"
    TOO_SMALL_FOR_AREA = "too_small_for_area"
    FLAT = "flat"
    BLURRY = "blurry"
    ANIMATED = "animated"
    LETTERBOXED_EXCLUDED = "letterboxed_excluded"
    LETTERBOXED = "letterboxed"
    FIRST_FRAME = "first_frame"
    COLOURED_ALPHA = "coloured_alpha"
    TRANSPARENT = "transparent"
    CMYK = "cmyk"
    BROKEN_PROFILE = "broken_profile"
    COLOUR_PROFILE = "colour_profile"
    DEEP_COLOUR = "deep_colour"
    EXIF_ROTATED = "exif_rotated"
    DUPLICATE = "duplicate"
    NEAR_DUPLICATE = "near_duplicate"
    DUPLICATE_OF_TRAINING = "duplicate_of_training"
    NEAR_DUPLICATE_OF_TRAINING = "near_duplicate_of_training"


DUPLICATES = frozenset(
    (
        CheckReason.DUPLICATE,
        CheckReason.NEAR_DUPLICATE,
        CheckReason.DUPLICATE_OF_TRAINING,
        CheckReason.NEAR_DUPLICATE_OF_TRAINING,
    )
)
"""Reasons whose data name the image that is kept instead, `of`."""


def _upscaled(data: Data) -> str:
    return f"{size(data)}, upscaled {data['upscaled']:.2f} times > {data['most']:g} for {data['resolution']}²"


def _bars(data: Data) -> str:
    """Bars along opposite edges, in pixels: `30 px above and 30 px below`."""
    sides = [f"{data[side]} px {word}" for side, word in _SIDES.items() if side in data]
    return ", ".join(" and ".join(sides[place : place + 2]) for place in range(0, len(sides), 2))


def measured(data: Data) -> str:
    figures = f"{size(data)}, sharpness {data['sharpness']}, contrast {data['contrast']}"
    return figures + (
        f", upscaled {data['upscaled']:.2f} times for {data['resolution']}²" if "upscaled" in data else ""
    )


def _near(data: Data) -> str:
    return f"{data['bits']} of {HASH_BITS} bits from the {size(data)} {data['of']}"


def _transparent(data: Data) -> str:
    return f"transparent, put on {data.get('background', 'white')}"


def _hidden(data: Data) -> str:
    below = data.get("background", "white")
    return f"{data['share']:.1%} clear but not {below} below, put on {below}"


_SAME = "same content as {of}"
WORDS: Table = {
    CheckReason.GOOD: Words("good"),
    CheckReason.KEPT_BY_USER: Words("kept by you"),
    CheckReason.EXCLUDED_BY_USER: Words("excluded by you", size),
    CheckReason.MISSING: Words("missing", "not in the set's folder, or not allowed to be read"),
    CheckReason.UNREADABLE: Words("unreadable", "{problem}"),
    CheckReason.TRUNCATED: Words("truncated", "{problem}"),
    CheckReason.DAMAGED: Words("damaged", "{problem}"),
    CheckReason.TOO_SMALL: Words("too small", "{size[0]}×{size[1]}, shorter side below {least}"),
    CheckReason.TOO_LONG: Words("too long", "{size[0]}×{size[1]}, aspect {aspect:.2f} > {most:g}"),
    CheckReason.TOO_SMALL_FOR_AREA: Words("too small for the area", _upscaled),
    CheckReason.FLAT: Words("flat", "contrast {contrast:.1f} < {least:g}"),
    CheckReason.BLURRY: Words("blurry", "sharpness {sharpness:.1f} < {least:g}"),
    CheckReason.ANIMATED: Words("animated", "{frames} frames"),
    CheckReason.LETTERBOXED_EXCLUDED: Words("letterboxed, excluded", _bars),
    CheckReason.LETTERBOXED: Words("letterboxed", _bars),
    CheckReason.FIRST_FRAME: Words("animated, first frame taken", "{frames} frames"),
    CheckReason.COLOURED_ALPHA: Words("alpha over coloured RGB", _hidden),
    CheckReason.TRANSPARENT: Words(_transparent, "", "transparent"),
    CheckReason.CMYK: Words("CMYK, made RGB", "{profile}"),
    CheckReason.BROKEN_PROFILE: Words("colour profile broken, ignored"),
    CheckReason.COLOUR_PROFILE: Words("colour profile, made sRGB", "{profile}"),
    CheckReason.DEEP_COLOUR: Words("{bits} bits, scaled to 8", "{mode}", "more than 8 bits, scaled to 8"),
    CheckReason.EXIF_ROTATED: Words("EXIF-rotated", "orientation {orientation}"),
    CheckReason.DUPLICATE: Words("duplicate", _SAME),
    CheckReason.NEAR_DUPLICATE: Words("near-duplicate", _near),
    CheckReason.DUPLICATE_OF_TRAINING: Words("duplicate of a training image", _SAME),
    CheckReason.NEAR_DUPLICATE_OF_TRAINING: Words("near-duplicate of a training image", _near),
}
"""Beside their own data, kept images have `measured` (size, sharpness, contrast, and `upscaled` for `resolution` where
they are), and images that more holds of `also`, a list of [code, data]."""
