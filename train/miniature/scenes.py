"""What can be painted: girls, scenes, and the true tags of each.

The words are booru tags; every visible trait has one, and what a tag implies is tagged as well
(`red dress` brings `dress`, `beret` brings `hat`), as real taggers do.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

HAIR_COLOURS = ("black", "brown", "blonde", "red", "blue", "green", "pink", "white")
HAIR_STYLES = ("short hair", "long hair", "twintails", "ponytail", "double bun")
EYE_COLOURS = ("blue", "green", "red", "yellow", "purple")
GARMENTS = ("dress", "hoodie", "serafuku", "kimono", "shirt")
GARMENT_COLOURS = ("red", "blue", "green", "yellow", "black", "white")
HEADWEAR = ("witch hat", "beret", "crown", "hair bow", "cat ears")
EXPRESSIONS = ("smile", "open mouth", "angry")
BACKGROUNDS = ("simple background", "day", "night", "forest", "beach", "indoors")
FRAMINGS = {
    "portrait": ((64, 64), (56, 72)),
    "upper body": ((56, 72), (64, 64)),
    "full body": ((48, 80), (56, 72)),
    "wide shot": ((80, 48), (72, 56)),
}
"""Framing → the (width, height) it is painted at, in pixels; every side a multiple of 8, every area near 64²."""
MEDIA = ("anime screenshot", "fan art")
ARTISTS = ("alder", "birch", "cedar")
FOOTWEAR = ("boots", "shoes")
FOOTWEAR_COLOURS = ("red", "brown", "black")

IMPLIES = {
    "witch hat": ("hat",),
    "beret": ("hat",),
    "cat ears": ("animal ears",),
    "day": ("outdoors",),
    "night": ("outdoors",),
    "forest": ("outdoors",),
    "beach": ("outdoors",),
}
RATINGS = ("general", "sensitive", "questionable", "explicit")


@dataclass(frozen=True, slots=True)
class Girl:
    """One person: everything about her that a tag can say."""

    hair: str
    style: str
    eyes: str
    garment: str
    colour: str
    headwear: str | None
    expression: str
    footwear: str
    footwear_colour: str

    def traits(self) -> tuple[str, ...]:
        """The tags that make up her looks, whatever she wears and however she feels."""
        looks = (f"{self.hair} hair", self.style, f"{self.eyes} eyes")
        return looks + ((self.headwear,) if self.headwear else ())

    def outfit(self) -> str:
        return f"{self.colour} {self.garment}"


@dataclass(frozen=True, slots=True)
class Scene:
    """A whole image; `seed` decides only what no tag speaks of (pose jitter, stars, grain)."""

    girls: tuple[Girl, ...]
    background: str
    framing: str
    medium: str
    size: tuple[int, int]
    seed: int
    artist: str | None = None


KNOWN_CHARACTERS = {
    "mira (miniature)": Girl("pink", "twintails", "green", "serafuku", "white", "hair bow", "smile", "shoes", "black"),
    "tess (miniature)": Girl("green", "short hair", "yellow", "hoodie", "black", "cat ears", "smile", "boots", "brown"),
}
"""Characters the base model and the tagger do know, as real ones know famous names."""

CHARACTERS = {
    "Lumi": Girl("white", "ponytail", "red", "kimono", "blue", "witch hat", "smile", "boots", "red"),
    "Oriel": Girl("red", "double bun", "green", "dress", "yellow", "crown", "smile", "boots", "brown"),
    "Pernille": Girl("blue", "long hair", "yellow", "serafuku", "red", "beret", "smile", "shoes", "black"),
    "Quill": Girl("blue", "short hair", "red", "hoodie", "green", "cat ears", "smile", "boots", "black"),
}
"""Characters that only the painted source trees show: the base model never saw these combinations by name.
Pernille and Quill share their hair colour, Lumi and Quill their eyes."""


def traits_match(girl: Girl, other: Girl) -> bool:
    return girl.traits() == other.traits()


def random_girl(rng: np.random.Generator) -> Girl:
    """Draw any person except one who would look just like a named character."""
    while True:
        girl = Girl(
            hair=str(rng.choice(HAIR_COLOURS)),
            style=str(rng.choice(HAIR_STYLES)),
            eyes=str(rng.choice(EYE_COLOURS)),
            garment=str(rng.choice(GARMENTS)),
            colour=str(rng.choice(GARMENT_COLOURS)),
            headwear=str(rng.choice(HEADWEAR)) if rng.random() < 0.5 else None,
            expression=str(rng.choice(EXPRESSIONS)),
            footwear=str(rng.choice(FOOTWEAR)),
            footwear_colour=str(rng.choice(FOOTWEAR_COLOURS)),
        )
        named = (*KNOWN_CHARACTERS.values(), *CHARACTERS.values())
        if not any(traits_match(girl, other) for other in named):
            return girl


def random_scene(rng: np.random.Generator, artists: bool = False, known: float = 0.06) -> Scene:
    """Draw an image as the base model's own training set has them: anybody, anywhere, in any framing."""
    framing = str(rng.choice(list(FRAMINGS)))
    couple = framing == "wide shot" and rng.random() < 0.3
    girls = []
    for _ in range(2 if couple else 1):
        girl = random_girl(rng)
        if rng.random() < known:
            famous = KNOWN_CHARACTERS[str(rng.choice(list(KNOWN_CHARACTERS)))]
            girl = replace(famous, expression=girl.expression, garment=girl.garment, colour=girl.colour)
        girls.append(girl)
    sizes = FRAMINGS[framing]
    return Scene(
        girls=tuple(girls),
        background=str(rng.choice(BACKGROUNDS)),
        framing=framing,
        medium=str(rng.choice(MEDIA)),
        size=sizes[int(rng.integers(len(sizes)))],
        seed=int(rng.integers(2**31)),
        artist=str(rng.choice(ARTISTS)) if artists and rng.random() < 0.25 else None,
    )


def true_tags(scene: Scene) -> tuple[str, ...]:
    """Every tag that holds for the image, in one fixed order, each once."""
    tags = ["1girl", "solo"] if len(scene.girls) == 1 else ["2girls", "multiple girls"]
    for name, known in KNOWN_CHARACTERS.items():
        if any(traits_match(girl, known) for girl in scene.girls):
            tags.append(name)
    for girl in scene.girls:
        tags += [*girl.traits(), girl.outfit(), girl.garment, girl.expression]
        if scene.framing == "full body":
            tags += [girl.footwear, f"{girl.footwear_colour} footwear"]
    tags += [scene.background, scene.framing, scene.medium]
    tags += [implied for tag in tags for implied in IMPLIES.get(tag, ())]
    return tuple(dict.fromkeys(tags))


def vocabulary() -> tuple[tuple[str, int], ...]:
    """All tags with their WD category: 9 rating, 0 general, 4 character; the row order of the tagger's output."""
    general = ["1girl", "solo", "2girls", "multiple girls"]
    general += [f"{colour} hair" for colour in HAIR_COLOURS] + list(HAIR_STYLES)
    general += [f"{colour} eyes" for colour in EYE_COLOURS] + list(GARMENTS)
    general += [f"{colour} {garment}" for garment in GARMENTS for colour in GARMENT_COLOURS]
    general += [*HEADWEAR, *EXPRESSIONS, *BACKGROUNDS, *FRAMINGS, *MEDIA, *FOOTWEAR]
    general += [f"{colour} footwear" for colour in FOOTWEAR_COLOURS]
    general += sorted({implied for group in IMPLIES.values() for implied in group})
    rows = [(name, 9) for name in RATINGS] + [(name, 0) for name in general]
    return tuple(rows + [(name, 4) for name in KNOWN_CHARACTERS])
