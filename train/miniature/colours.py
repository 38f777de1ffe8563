"""The colours of the painted world, by the words of its tags."""

from __future__ import annotations

Colour = tuple[int, int, int]
SKIN = (255, 224, 200)
INK = (40, 28, 36)
HAIR: dict[str, Colour] = {
    "black": (44, 40, 54),
    "brown": (126, 78, 46),
    "blonde": (250, 216, 106),
    "red": (200, 44, 36),
    "blue": (62, 108, 214),
    "green": (66, 164, 84),
    "pink": (250, 150, 190),
    "white": (232, 234, 242),
}
EYES: dict[str, Colour] = {
    "blue": (24, 84, 240),
    "green": (10, 160, 50),
    "red": (226, 10, 20),
    "yellow": (250, 190, 0),
    "purple": (150, 30, 210),
}
CLOTH: dict[str, Colour] = {
    "red": (214, 40, 48),
    "blue": (40, 84, 200),
    "green": (38, 142, 66),
    "yellow": (248, 212, 60),
    "black": (38, 38, 46),
    "white": (246, 246, 250),
}
LEATHER: dict[str, Colour] = {"red": (204, 36, 40), "brown": (122, 74, 40), "black": (34, 32, 38)}


def mix(colour: Colour, other: Colour, share: float) -> Colour:
    red, green, blue = (round(a * (1 - share) + b * share) for a, b in zip(colour, other, strict=True))
    return red, green, blue
