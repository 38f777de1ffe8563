"""Lettering: names from anywhere as text that a font can draw, in the space there is."""

from __future__ import annotations

import functools

from PIL import ImageFont

FONTS = (
    "DejaVuSans.ttf",
    "NotoSansCJK-Regular.ttc",
    "NotoSans-Regular.ttf",
    "arial.ttf",
    "Arial Unicode.ttf",
    "YuGothM.ttc",
    "msyh.ttc",
    "malgun.ttf",
    "PingFang.ttc",
    "Hiragino Sans GB.ttc",
)
"""Fonts that systems bring along, asked for by name where Pillow's own lacks a letter."""
UNKNOWN = "?"
Font = ImageFont.FreeTypeFont | ImageFont.ImageFont


def printable(text: str) -> str:
    """The text without line breaks and other letters that steer instead of being seen."""
    return "".join(letter if letter.isprintable() else UNKNOWN for letter in text)


def writing(points: int, text: str = "") -> Font:
    """The first font that can draw the whole text, else Pillow's own."""
    if _draws_all(_own(points), text):
        return _own(points)
    return next((font for font in _others(points) if _draws_all(font, text)), _own(points))


def shortened(text: str, points: int, width: int) -> str:
    """The text with letters replaced that no font here draws, and its middle left out where it is wider than `width`."""
    font = writing(points, text)
    text = "".join(letter if _draws(font, letter) else UNKNOWN for letter in text)
    if font.getlength(text) <= width:
        return text
    kept = len(text)
    while kept > 2 and font.getlength(_ends(text, kept)) > width:
        kept -= 1
    return _ends(text, kept)


def _ends(text: str, kept: int) -> str:
    """Beginning and end of a text, so that both the name and its number are seen."""
    last = kept // 2
    return f"{text[: kept - last]}...{text[len(text) - last :]}"


@functools.cache
def _own(points: int) -> Font:
    return ImageFont.load_default(points)


@functools.cache
def _others(points: int) -> tuple[Font, ...]:
    found = []
    for name in FONTS:
        try:
            found.append(ImageFont.truetype(name, points))
        except OSError:
            continue
    return tuple(found)


def _draws_all(font: Font, text: str) -> bool:
    return all(_draws(font, letter) for letter in text)


@functools.lru_cache(maxsize=65536)
def _draws(font: Font, letter: str) -> bool:
    """Whether the font has the letter: its drawing is not the one that stands for all letters it lacks."""
    drawn, lacking = font.getmask(letter), font.getmask("\uffff")
    return letter.isspace() or drawn.size != lacking.size or bytes(drawn) != bytes(lacking)
