"""Tags in plain words, for base models that were trained on descriptions: `1girl` is `one girl`."""

from __future__ import annotations

import functools
import re

_NUMBERS = ("no", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten")
_COUNT = re.compile(r"(\d{1,2})(\+?)(girl|boy|other)s?")
_PEOPLE = {"girl": ("girl", "girls"), "boy": ("boy", "boys"), "other": ("person", "people")}
_PHRASES = {
    "solo": "alone",
    "no humans": "no people",
    "multiple girls": "several girls",
    "multiple boys": "several boys",
    "multiple others": "several people",
    "looking at viewer": "looking at the viewer",
    "looking at another": "looking at each other",
    "facing viewer": "facing the viewer",
    "from above": "seen from above",
    "from behind": "seen from behind",
    "from below": "seen from below",
    "from side": "seen from the side",
    "from outside": "seen from outside",
    "upper body": "shown from the waist up",
    "lower body": "shown from the waist down",
    "full body": "full figure",
    "cowboy shot": "shown from the thighs up",
    "straight-on": "seen straight on",
    "dutch angle": "tilted view",
    "simple background": "plain background",
    "hair between eyes": "hair between the eyes",
    "hand on own hip": "hand on the hip",
    "greyscale": "in shades of grey",
    "monochrome": "in one colour",
    "blue sky": "blue sky",
    ":d": "open smile",
    ":o": "mouth open in surprise",
    "^_^": "eyes closed in a smile",
    ";)": "winking and smiling",
    "v": "making a peace sign",
    "open mouth": "open mouth",
}


@functools.cache
def phrase_of(tag: str) -> str:
    """A tag in plain words; the tag itself where it is plain already."""
    found = _COUNT.fullmatch(tag)
    if found:
        number, more, kind = int(found[1]), found[2], found[3]
        said = _NUMBERS[number] if number < len(_NUMBERS) else str(number)
        return f"{said} {'or more ' if more else ''}{_PEOPLE[kind][number != 1 or bool(more)]}"
    return _PHRASES.get(tag, tag)
