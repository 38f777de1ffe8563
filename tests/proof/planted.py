"""A set with faults planted in it: scores as a tagger would give them for images that are known, and what is wrong.

Six characters, two artists and a folder of two characters together. Every image has a truth, from which scores are drawn
with noise: tags that are true score about 0.85, a few of them not enough, and now and then a false one does.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from pipeline.store.manifest import Manifest
from pipeline.store.records import Image, Tagger

CHARACTERS = {
    "Anisphia": ("blonde hair", "green eyes", "long hair", "ahoge"),
    "Euphyllia": ("white hair", "purple eyes", "very long hair", "hair ribbon"),
    "Mihari": ("brown hair", "blue eyes", "long hair", "hairclip"),
    "Roukin": ("black hair", "red eyes", "short hair", "beret"),
    "Quillon": ("pink hair", "yellow eyes", "medium hair", "fox ears"),
    "Tomoe": ("aqua hair", "brown eyes", "short hair", "glasses"),
}
HAIR = ("black hair", "brown hair", "blonde hair", "red hair", "blue hair", "pink hair", "white hair", "grey hair")
IMPLIED = {
    "witch hat": "hat",
    "cowboy hat": "hat",
    "school uniform": "uniform",
    "serafuku": "school uniform",
    "low twintails": "twintails",
    "black thighhighs": "thighhighs",
    "hairclip": "hair ornament",
    "snowflake hair ornament": "hair ornament",
    "cat ears": "animal ears",
    "sneakers": "shoes",
    "pleated skirt": "skirt",
    "frilled skirt": "skirt",
    "white shirt": "shirt",
    "collared shirt": "shirt",
    "striped bikini": "bikini",
    "bikini": "swimsuit",
    "katana": "sword",
    "rapier": "weapon",
    "school bag": "bag",
    "furisode": "kimono",
    "strapless dress": "dress",
    "teacup": "cup",
    "wooden floor": "floor",
    "night sky": "sky",
    "crescent moon": "moon",
    "red necktie": "necktie",
    "mittens": "gloves",
    "kimono": "japanese clothes",
    "obi": "sash",
    "leotard": "bodysuit",
    "white background": "simple background",
    "forest": "nature",
}
"""Exact tag → a tag that says less of the same thing; not all of them can be inferred from their spelling."""
IMPLIED_TOO = (
    ("beret", "hat"),
    ("beanie", "hat"),
    ("fox ears", "animal ears"),
    ("fake animal ears", "animal ears"),
    ("forest", "outdoors"),
    ("hair bow", "bow"),
    ("hair ribbon", "ribbon"),
    ("serafuku", "uniform"),
    ("greyscale", "monochrome"),
    ("bow (weapon)", "weapon"),
)
"""More of the kind, between tags that are drawn for another reason."""
SEEN = 0.35
"""The probability from which a tag reaches a caption."""
TRAPS = (
    ("braid", "bra"),
    ("twintails", "tail"),
    ("glasses", "ass"),
    ("elbow gloves", "bow"),
    ("earrings", "ring"),
    ("cat ears", "cat"),
    ("on back", "back"),
    ("looking back", "back"),
    ("hand in pocket", "pocket"),
    ("teddy bear", "bear"),
    ("no shoes", "shoes"),
    ("water gun", "gun"),
    ("hat on back", "on back"),
    ("blush stickers", "blush"),
    ("hot dog", "dog"),
    ("open mouth", "pen"),
    ("between legs", "legs"),
    ("fake animal ears", "animal ears"),
    ("watermelon", "melon"),
)
"""Pairs that look as if the one said the other, and do not."""
LEARNABLE = (("holding umbrella", "umbrella"), ("glowing crystal", "crystal"))
GARMENTS = (("red", "boots", "footwear"), ("black", "sneakers", "footwear"), ("brown", "sandals", "footwear"))
GARMENTS += (("white", "beanie", "headwear"), ("blue", "witch hat", "headwear"), ("green", "kneehighs", "socks"))
WORN_AS = {"sneakers": "shoes"}
"""Thing → a tag beside it that is no other thing."""
FLAGS = {
    "watermark": "watermark",
    "web address": "watermark",
    "patreon logo": "watermark",
    "signature": "signature",
    "artist name": "signature",
    "twitter username": "signature",
    "english text": "text",
    "speech bubble": "text",
    "mosaic censoring": "censored",
    "bar censor": "censored",
    "letterboxed": "border",
    "white border": "border",
    "jpeg artifacts": "poor file",
}
HARMLESS = ("watermelon", "border collie", "signpost", "holding sign", "context", "bordered veil", "censer")
"""Tags whose names resemble those of a fault."""
SCENERY = ("smile", "open mouth", "outdoors", "day", "sitting", "standing", "looking at viewer", "blush", "from side")
CONSTANT = {"Anisphia": "white gloves", "Roukin": "bow (weapon)", "Tomoe": "polka dot"}
"""Character → what all her images show though it is no part of her."""
OFTEN = {"Anisphia": "smile", "Mihari": "holding book", "Quillon": "indoors"}
"""Character → what four of five of her images show."""


@dataclass(slots=True)
class Truth:
    """What is wrong, by detector, as the keys that it should find."""

    wrong: set[tuple[str, str]] = field(default_factory=set)
    lacking: set[tuple[str, str]] = field(default_factory=set)
    implied: set[tuple[str, str]] = field(default_factory=set)
    composed: set[tuple[str, str]] = field(default_factory=set)
    flags: set[tuple[str, str]] = field(default_factory=set)
    core: set[tuple[str, str]] = field(default_factory=set)
    constant: set[tuple[str, str]] = field(default_factory=set)
    misspelt: set[str] = field(default_factory=set)


@dataclass(slots=True)
class PILImage:
    """An image that is known: its tags, and what the tagger says of them beyond noise."""

    concept: str
    name: str
    tags: list[str]
    scores: dict[str, float] = field(default_factory=dict)
    text: str | None = None

    @property
    def path(self) -> str:
        return f"images/{self.concept.replace('/', '~')}/{self.name}.png"

    @property
    def content(self) -> str:
        return hashlib.sha256(self.path.encode()).hexdigest()


class World:
    """The images of a seed, with their truth."""

    def __init__(self, seed: int = 0, each: int = 80) -> None:
        self.rng = np.random.default_rng(seed)
        self.truth = Truth()
        self.images: list[PILImage] = []
        for who in CHARACTERS:
            self._character(who, each)
            self._written(who, each // 5)
        self._together(each // 3)
        self._artists(each // 2)
        for image in self.images:
            self._noise(image)
        self._tell_constant()

    def _chance(self, share: float) -> bool:
        return bool(self.rng.random() < share)

    def _pick(self, names: tuple[str, ...], count: int) -> list[str]:
        return [names[place] for place in self.rng.choice(len(names), count, replace=False)]

    def _between(self, low: float, high: float) -> float:
        return round(float(self.rng.uniform(low, high)), 4)

    def _character(self, who: str, each: int) -> None:
        """Images of one character alone, the faults of each drawn on their own."""
        look = CHARACTERS[who]
        self.truth.core.update((who, tag) for tag in look)
        for number in range(each):
            image = PILImage(f"characters/{who}", f"{number:03}", ["1girl", "solo", *look, *self._scene()])
            if who in CONSTANT:
                image.tags.append(CONSTANT[who])
            if who in OFTEN and self._chance(0.8):
                image.tags.append(OFTEN[who])
            self._look(image, look)
            self._tags(image)
            self.images.append(image)

    def _scene(self) -> list[str]:
        return self._pick(SCENERY, int(self.rng.integers(2, 5)))

    def _look(self, image: PILImage, look: tuple[str, ...]) -> None:
        """Hair that the tagger takes for another, or does not see; and images where nothing is wrong with that."""
        hair, eyes = look[0], look[1]
        rivals = tuple(tag for tag in HAIR if tag != hair)
        kind = self.rng.choice(8, p=[0.73, 0.04, 0.04, 0.03, 0.04, 0.04, 0.04, 0.04])
        if kind == 1:
            image.scores |= {hair: self._between(0.02, 0.3), self._pick(rivals, 1)[0]: self._between(0.4, 0.8)}
            self.truth.wrong.add((image.path, "hair colour"))
        elif kind == 2:
            image.scores |= {hair: self._between(0.6, 0.9), self._pick(rivals, 1)[0]: self._between(0.4, 0.6)}
            self.truth.wrong.add((image.path, "hair colour"))
        elif kind == 3:
            image.scores[hair] = self._between(0.12, 0.33)
        elif kind == 4:
            image.tags += ["closed eyes"]
            image.scores[eyes] = self._between(0.0, 0.2)
        elif kind == 5:
            image.tags += ["multicolored hair", self._pick(rivals, 1)[0]]
        elif kind == 6:
            image.tags += ["monochrome", "greyscale"]
            image.scores |= dict.fromkeys(look[:2], self._between(0.02, 0.2))
        elif kind == 7:
            image.tags += ["from behind"]
            image.scores[eyes] = self._between(0.0, 0.05)

    def _tags(self, image: PILImage) -> None:
        """Tags that say each other, pairs that only look so, things in colours, and tags that speak of the file."""
        exact = self._pick(tuple(IMPLIED), 2)
        trap = TRAPS[int(self.rng.integers(len(TRAPS)))]
        child, parent = LEARNABLE[int(self.rng.integers(len(LEARNABLE)))]
        image.tags += [*exact, *(IMPLIED[tag] for tag in exact), *(trap if self._chance(0.6) else trap[:1])]
        image.tags += [child, parent] if self._chance(0.3) else [parent] if self._chance(0.3) else []
        if self._chance(0.25):
            colour, thing, kind = GARMENTS[int(self.rng.integers(len(GARMENTS)))]
            image.tags += [thing, f"{colour} {kind}"]
        if self._chance(0.15):
            image.tags += self._pick(tuple(FLAGS), 1)
        if self._chance(0.15):
            image.tags += self._pick(HARMLESS, 1)

    def _written(self, who: str, count: int) -> None:
        """Images whose captions a person wrote, one in three with a slip in the trigger word."""
        for number in range(count):
            word = who
            if self._chance(0.35):
                word = self._slip(who)
                self.truth.misspelt.add(word)
            scene = self._scene()
            text = f"{word}, 1girl, {', '.join(scene)}, at the lake, evening walk\n"
            tags = ["1girl", "solo", *CHARACTERS[who], *scene]
            self.images.append(PILImage(f"written/{who}", f"{number:03}", tags, text=text))

    def _slip(self, word: str) -> str:
        """A word with one slip of the fingers that changes it."""
        place = int(self.rng.integers(1, len(word) - 1))
        slips = (
            word[:place] + word[place + 1 :],
            word[:place] + word[place] + word[place:],
            word[:place] + word[place + 1] + word[place] + word[place + 2 :],
            word[:place] + "x" + word[place + 1 :],
        )
        slip = slips[int(self.rng.integers(len(slips)))]
        return slip if slip != word else word[:place] + word[place + 1 :]

    def _together(self, count: int) -> None:
        """Two characters in one image: nothing may be merged, composed or called a contradiction."""
        for number in range(count):
            one, other = CHARACTERS["Anisphia"], CHARACTERS["Euphyllia"]
            tags = ["2girls", *one, *other, "witch hat", "hat", "boots", "red footwear", *self._scene()]
            self.images.append(PILImage("characters/Anisphia+Euphyllia", f"{number:03}", tags))

    def _artists(self, count: int) -> None:
        """Images in a style, of anyone: what all of them share is no core of it."""
        for artist in ("alder", "birch"):
            for number in range(count):
                tags = ["1girl", "solo", *self._pick(HAIR, 1), "sketch", *self._scene()]
                image = PILImage(f"artists/{artist}", f"{number:03}", tags)
                self._tags(image)
                self.images.append(image)

    def _noise(self, image: PILImage) -> None:
        """Scores of an image's tags about what is true, and a few that are not; then the truth that scores decide."""
        for tag in dict.fromkeys(image.tags):
            score = float(np.clip(self.rng.normal(0.85, 0.1), 0.02, 0.995))
            image.scores.setdefault(tag, round(score if not self._chance(0.02) else 0.3 * score, 4))
        for child, parent in (*IMPLIED.items(), *LEARNABLE):
            if {child, parent} <= set(image.tags):
                image.scores[parent] = max(image.scores[parent], image.scores[child])
        for tag in self._pick(SCENERY, 2):
            image.scores.setdefault(tag, self._between(0.02, 0.45))
        self._tell(image)

    def _tell(self, image: PILImage) -> None:
        """What is wrong with an image by the tags that reach its caption, as detectors see no others."""
        seen = {tag for tag, score in image.scores.items() if score >= SEEN}
        self.truth.flags |= {(image.path, FLAGS[tag]) for tag in seen & FLAGS.keys()}
        if image.text is not None or "2girls" in image.tags:
            return
        pairs = (*IMPLIED.items(), *IMPLIED_TOO, *LEARNABLE)
        self.truth.implied |= {(image.path, parent) for child, parent in pairs if {child, parent} <= seen}
        self.truth.composed |= self._joins(image, seen)
        who = CHARACTERS.get(image.concept.rpartition("/")[2])
        excused = seen & {"multicolored hair", "monochrome", "greyscale"}
        if who is not None and not excused and not seen & {*HAIR, who[0]}:
            self.truth.lacking.add((image.path, who[0]))

    def _joins(self, image: PILImage, tags: set[str]) -> set[tuple[str, str]]:
        """What colour and thing make together, where only one thing can be meant."""
        things = {
            "footwear": {"boots", "sneakers", "sandals", "shoes"},
            "headwear": {"beanie", "witch hat", "beret", "cowboy hat"},
            "socks": {"kneehighs"},
        }
        found = set()
        for colour, thing, kind in GARMENTS:
            if {thing, f"{colour} {kind}"} <= tags and not (things[kind] & tags) - {thing, WORN_AS.get(thing)}:
                found.add((image.path, f"{colour} {thing}"))
        return found

    def _tell_constant(self) -> None:
        """What all images of a concept show and its trigger word is not pruned for, whatever the tagger saw of it."""
        by_concept: dict[str, list[PILImage]] = {}
        for image in self.images:
            if image.text is None:
                by_concept.setdefault(image.concept, []).append(image)
        for concept, held in by_concept.items():
            names = concept.rpartition("/")[2].split("+")
            pruned = {tag for name in names for tag in CHARACTERS.get(name, ())}
            always = set.intersection(*(set(image.tags) for image in held)) - pruned
            self.truth.constant |= {(concept, tag) for tag in always}

    def put(self, root: Path) -> Manifest:
        """The record of the set, with the captions that a person wrote beside the images."""
        tags = sorted({tag for image in self.images for tag in image.scores})
        tagger = Tagger("planted", "1", "p", "CPU", dict.fromkeys(tags, "general"))
        manifest = Manifest.open(root, create=True)
        images = [Image(each.path, each.concept, f"/src/{each.path}", each.content, 1, "copy") for each in self.images]
        with manifest.transaction():
            manifest.put_images(images)
            manifest.put_tagger(tagger)
            manifest.put_scores(tagger.id, {each.content: each.scores for each in self.images})
        for image in self.images:
            file = (root / image.path).with_suffix(".txt")
            file.parent.mkdir(parents=True, exist_ok=True)
            if image.text is not None:
                file.write_text(image.text, encoding="utf-8")
        return manifest
