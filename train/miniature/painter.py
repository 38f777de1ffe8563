"""Paint a scene, the same pixels for the same scene every time.

An image is drawn several times too large and reduced, so edges are smooth at 64 pixels already. Everything is
placed in units of the head's radius, so a figure keeps its proportions at any size.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from PIL import Image, ImageDraw, ImageFilter

from train.miniature.scenes import Girl, Scene

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
SUPERSAMPLING = 4
GRAIN_SIDE = 64


def paint(scene: Scene, scale: float = 1.0) -> Image.Image:
    """Paint a scene as RGB, `scene.size` times `scale` pixels large."""
    width, height = (max(8, round(side * scale)) for side in scene.size)
    rng = np.random.default_rng([7, scene.seed])
    canvas = Image.new("RGB", (width * SUPERSAMPLING, height * SUPERSAMPLING))
    _background(canvas, scene.background, rng)
    for girl, place in zip(scene.girls, _places(scene, canvas.size, rng), strict=True):
        _Figure(ImageDraw.Draw(canvas), girl, place, outlined=scene.medium == "fan art").draw()
    image = canvas.resize((width, height), Image.Resampling.BOX)
    if scene.medium == "fan art":
        image = _grain(image, rng, strength=11.0)
    return _artist(image, scene.artist, rng)


def cut_out(scene: Scene, scale: float = 1.0) -> Image.Image:
    """Paint a scene's figures alone, as RGBA over nothing.

    They are drawn over black and over white; what differs between the two is what can be seen through them.
    """
    width, height = (max(8, round(side * scale)) for side in scene.size)
    size = (width * SUPERSAMPLING, height * SUPERSAMPLING)
    places = _places(scene, size, np.random.default_rng([7, scene.seed]))
    over = []
    for ground in (0, 255):
        canvas = Image.new("RGB", size, (ground, ground, ground))
        for girl, place in zip(scene.girls, places, strict=True):
            _Figure(ImageDraw.Draw(canvas), girl, place, outlined=scene.medium == "fan art").draw()
        over.append(np.asarray(canvas.resize((width, height), Image.Resampling.BOX), np.float32))
    alpha = 1 - (over[1] - over[0]).mean(axis=2, keepdims=True) / 255
    colour = over[0] / np.maximum(alpha, 1 / 255)
    return Image.fromarray(np.clip(np.concatenate([colour, alpha * 255], axis=2), 0, 255).astype(np.uint8), "RGBA")


@dataclass(frozen=True, slots=True)
class Pose:
    """Where a head is: centre and radius in canvas pixels; `turn` is -1 or 1, the side a ponytail falls to."""

    x: float
    y: float
    radius: float
    turn: int
    bottom: float


def _places(scene: Scene, size: tuple[int, int], rng: np.random.Generator) -> list[Pose]:
    width, height = size
    short = min(width, height)
    centre, level, radius = {
        "portrait": (0.5, 0.52, 0.29 * short),
        "upper body": (0.5, 0.38, 0.235 * short),
        "full body": (0.5, 0.29, 0.215 * width if height > 1.5 * width else 0.185 * width),
        "wide shot": (0.5, 0.46, 0.225 * short),
    }[scene.framing]
    xs = [centre] if len(scene.girls) == 1 else [0.27, 0.73]
    if scene.framing == "wide shot" and len(scene.girls) == 1:
        xs = [float(rng.choice([0.32, 0.5, 0.68]))]
    places = []
    for x in xs:
        dx, dy, grow = rng.uniform(-0.03, 0.03), rng.uniform(-0.02, 0.02), rng.uniform(0.95, 1.05)
        turn = 1 if rng.random() < 0.5 else -1
        places.append(Pose((x + dx) * width, (level + dy) * height, radius * grow, turn, float(height)))
    return places


class _Figure:
    """Draws one girl, back to front: hair behind, body, head, face, fringe, headwear."""

    def __init__(self, draw: ImageDraw.ImageDraw, girl: Girl, place: Pose, outlined: bool) -> None:
        self.pen, self.girl, self.place = draw, girl, place
        self.line = max(1, round(place.radius * 0.07)) if outlined else 0
        self.hair = HAIR[girl.hair]
        self.shade = _mix(self.hair, INK, 0.22)
        self.cloth = CLOTH[girl.colour]

    def draw(self) -> None:
        self._hair_behind()
        self._body()
        self._ellipse(0, 0, 0.92, 1.0, SKIN)
        self._face()
        self._fringe()
        self._headwear()

    def _at(self, x: float, y: float) -> tuple[float, float]:
        return self.place.x + x * self.place.radius, self.place.y + y * self.place.radius

    def _ellipse(self, x: float, y: float, rx: float, ry: float, fill: Colour, line: bool = True) -> None:
        (left, top), (right, bottom) = self._at(x - rx, y - ry), self._at(x + rx, y + ry)
        outline = INK if self.line and line else None
        self.pen.ellipse((left, top, right, bottom), fill=fill, outline=outline, width=self.line)

    def _polygon(self, points: list[tuple[float, float]], fill: Colour, line: bool = True) -> None:
        corners = [self._at(x, y) for x, y in points]
        self.pen.polygon(corners, fill=fill)
        if self.line and line:
            self.pen.line([*corners, corners[0]], fill=INK, width=self.line, joint="curve")

    def _stroke(self, points: list[tuple[float, float]], fill: Colour, width: float) -> None:
        self.pen.line(
            [self._at(x, y) for x, y in points],
            fill=fill,
            width=max(1, round(width * self.place.radius)),
            joint="curve",
        )

    def _hair_behind(self) -> None:
        style, turn = self.girl.style, self.place.turn
        if style == "long hair":
            self._polygon(
                [(-1.12, -0.2), (1.12, -0.2), (1.42, 2.25), (0.55, 2.5), (-0.55, 2.5), (-1.42, 2.25)], self.hair
            )
        elif style == "twintails":
            for side in (-1, 1):
                self._polygon(
                    [
                        (side * 0.75, -0.75),
                        (side * 1.35, -0.95),
                        (side * 1.85, 0.3),
                        (side * 1.7, 1.7),
                        (side * 1.3, 1.15),
                        (side * 1.05, 0.1),
                    ],
                    self.hair,
                )
        elif style == "ponytail":
            self._polygon(
                [
                    (turn * 0.3, -0.95),
                    (turn * 1.15, -1.35),
                    (turn * 1.85, -0.6),
                    (turn * 2.0, 0.9),
                    (turn * 1.6, 1.8),
                    (turn * 1.35, 0.6),
                    (turn * 1.0, -0.3),
                ],
                self.hair,
            )
        elif style == "double bun":
            for side in (-1, 1):
                self._ellipse(side * 1.0, -0.8, 0.5, 0.5, self.shade)
                self._ellipse(side * 1.0, -0.8, 0.28, 0.28, self.hair, line=False)
        self._ellipse(0, -0.08, 1.12, 1.08, self.hair)

    def _fringe(self) -> None:
        self.pen.chord((*self._at(-1.1, -1.16), *self._at(1.1, 0.72)), 196, 344, fill=self.hair)
        for x in (-0.62, 0.0, 0.62):
            self._polygon([(x - 0.34, -0.5), (x + 0.34, -0.5), (x, -0.12)], self.hair, line=False)
        for side in (-1, 1):
            self._polygon(
                [(side * 0.78, -0.55), (side * 1.1, -0.45), (side * 1.06, 0.55), (side * 0.86, 0.3)], self.hair
            )
        self._stroke([(-0.5, -0.86), (-0.1, -0.98), (0.3, -0.92)], _mix(self.hair, (255, 255, 255), 0.4), 0.08)

    def _face(self) -> None:
        iris = EYES[self.girl.eyes]
        for side in (-1, 1):
            self._ellipse(side * 0.43, 0.2, 0.29, 0.37, (255, 255, 255), line=False)
            self._ellipse(side * 0.43, 0.22, 0.26, 0.34, iris, line=False)
            self._ellipse(side * 0.43, 0.27, 0.09, 0.14, _mix(iris, INK, 0.75), line=False)
            self._ellipse(side * 0.43 - 0.1, 0.06, 0.08, 0.09, (255, 255, 255), line=False)
            self._stroke([(side * 0.7, -0.06), (side * 0.43, -0.2), (side * 0.16, -0.06)], INK, 0.1)
        expression = self.girl.expression
        if expression == "smile":
            self._stroke([(-0.3, 0.62), (-0.15, 0.74), (0.15, 0.74), (0.3, 0.62)], (170, 50, 60), 0.12)
        elif expression == "open mouth":
            self._ellipse(0, 0.72, 0.24, 0.2, (190, 40, 60), line=False)
        else:
            self._stroke([(-0.26, 0.8), (-0.1, 0.68), (0.1, 0.68), (0.26, 0.8)], (120, 40, 50), 0.12)
            for side in (-1, 1):
                self._stroke([(side * 0.8, -0.36), (side * 0.14, -0.08)], INK, 0.16)

    def _headwear(self) -> None:
        wear = self.girl.headwear
        if wear == "witch hat":
            self._polygon([(-0.75, -0.72), (0.75, -0.72), (0.12, -2.1)], (84, 40, 130))
            self._ellipse(0, -0.72, 1.4, 0.24, (84, 40, 130))
            self._polygon([(-0.66, -0.95), (0.66, -0.95), (0.55, -1.15), (-0.55, -1.15)], (240, 170, 40), line=False)
        elif wear == "beret":
            self._ellipse(0.12 * self.place.turn, -0.92, 1.08, 0.42, (20, 140, 150))
            self._ellipse(0.12 * self.place.turn, -1.34, 0.13, 0.13, (20, 140, 150), line=False)
        elif wear == "crown":
            self._polygon(
                [(-0.66, -0.8), (-0.74, -1.5), (-0.34, -1.12), (0, -1.62), (0.34, -1.12), (0.74, -1.5), (0.66, -0.8)],
                (246, 190, 30),
            )
            self._ellipse(0, -1.0, 0.13, 0.13, (220, 30, 60), line=False)
        elif wear == "hair bow":
            for side in (-1, 1):
                self._polygon([(0, -1.02), (side * 0.8, -1.45), (side * 0.8, -0.62)], (236, 50, 130))
            self._ellipse(0, -1.02, 0.18, 0.18, (190, 20, 90))
        elif wear == "cat ears":
            for side in (-1, 1):
                self._polygon([(side * 0.3, -0.95), (side * 0.98, -0.5), (side * 0.92, -1.6)], self.hair)
                self._polygon(
                    [(side * 0.5, -0.97), (side * 0.86, -0.72), (side * 0.83, -1.3)], (255, 170, 190), line=False
                )

    def _body(self) -> None:
        depth = (self.place.bottom - self.place.y) / self.place.radius
        waist = min(depth, 2.9)
        self._polygon([(-0.26, 0.8), (0.26, 0.8), (0.26, 1.2), (-0.26, 1.2)], SKIN, line=False)
        if depth > 2.6:
            self._legs(depth)
        self._arms(waist)
        hem = {"dress": 1.25, "kimono": 0.95}.get(self.girl.garment, 0.78)
        self._polygon([(-0.5, 1.06), (0.5, 1.06), (0.72, 1.5), (hem, waist), (-hem, waist), (-0.72, 1.5)], self.cloth)
        self._garment_details(waist)

    def _arms(self, waist: float) -> None:
        sleeve = SKIN if self.girl.garment == "dress" else self.cloth
        reach = 1.5 if self.girl.garment == "kimono" else 1.2
        for side in (-1, 1):
            self._polygon(
                [
                    (side * 0.5, 1.08),
                    (side * 0.78, 1.2),
                    (side * reach, waist - 0.5),
                    (side * (reach - 0.4), waist - 0.35),
                    (side * 0.6, 1.7),
                ],
                sleeve,
            )
            if self.girl.garment == "shirt":
                self._polygon(
                    [
                        (side * 0.86, 1.62),
                        (side * 1.03, 1.75),
                        (side * reach, waist - 0.5),
                        (side * (reach - 0.4), waist - 0.35),
                        (side * 0.7, 1.8),
                    ],
                    SKIN,
                    line=False,
                )

    def _legs(self, depth: float) -> None:
        feet = min(depth - 0.12, 4.3)
        for side in (-1, 1):
            self._polygon([(side * 0.12, 2.4), (side * 0.55, 2.4), (side * 0.5, feet), (side * 0.16, feet)], SKIN)
            top = feet - (0.85 if self.girl.footwear == "boots" else 0.3)
            self._polygon(
                [(side * 0.06, top), (side * 0.6, top), (side * 0.72, feet), (side * 0.06, feet)],
                LEATHER[self.girl.footwear_colour],
            )
        if self.girl.garment in ("shirt", "hoodie", "serafuku"):
            skirt = (90, 90, 104) if self.girl.garment != "serafuku" else self.cloth
            self._polygon([(-0.7, 2.4), (0.7, 2.4), (0.95, 3.15), (-0.95, 3.15)], skirt)

    def _garment_details(self, waist: float) -> None:
        garment = self.girl.garment
        accent = (250, 250, 250) if self.girl.colour != "white" else (120, 130, 170)
        if garment == "dress":
            self._polygon([(-0.3, 1.02), (0.3, 1.02), (0, 1.4)], SKIN, line=False)
            self._stroke([(-0.74, 1.95), (0.74, 1.95)], accent, 0.16)
        elif garment == "hoodie":
            self._stroke(
                [(-0.62, 1.12), (-0.4, 1.42), (0, 1.52), (0.4, 1.42), (0.62, 1.12)], _mix(self.cloth, INK, 0.45), 0.26
            )
            for side in (-1, 1):
                self._stroke([(side * 0.18, 1.5), (side * 0.2, 2.05)], accent, 0.1)
        elif garment == "serafuku":
            collar = (40, 60, 130) if self.girl.colour != "blue" else (250, 250, 250)
            self._polygon(
                [(-0.66, 1.04), (-0.2, 1.04), (0, 1.5), (0.2, 1.04), (0.66, 1.04), (0.7, 1.4), (0, 1.85), (-0.7, 1.4)],
                collar,
            )
            for side in (-1, 1):
                self._polygon([(0, 1.72), (side * 0.38, 1.55), (side * 0.32, 2.1)], (236, 90, 40), line=False)
        elif garment == "kimono":
            self._stroke([(-0.42, 1.04), (0.26, 1.85)], accent, 0.14)
            self._stroke([(0.42, 1.04), (-0.1, 1.6)], accent, 0.14)
            self._stroke([(-0.8, 2.05), (0.8, 2.05)], (226, 140, 40), 0.34)
        else:
            for y in np.arange(1.3, waist, 0.32):
                self._ellipse(0, float(y), 0.07, 0.07, accent if self.girl.colour != "yellow" else INK, line=False)
            self._stroke([(-0.34, 1.04), (0, 1.22), (0.34, 1.04)], accent, 0.12)


def _background(canvas: Image.Image, kind: str, rng: np.random.Generator) -> None:
    width, height = canvas.size
    pen = ImageDraw.Draw(canvas)
    tops: dict[str, tuple[Colour, Colour]] = {
        "simple background": ((236, 236, 240), (236, 236, 240)),
        "day": ((120, 190, 250), (206, 236, 255)),
        "night": ((14, 16, 54), (50, 44, 110)),
        "forest": ((46, 104, 60), (96, 150, 84)),
        "beach": ((140, 214, 246), (220, 244, 250)),
        "indoors": ((214, 186, 150), (198, 164, 124)),
    }
    upper, lower = tops[kind]
    ramp = np.linspace(0, 1, height)[:, None, None]
    rows = np.asarray(upper) * (1 - ramp) + np.asarray(lower) * ramp
    canvas.paste(Image.fromarray(np.broadcast_to(rows, (height, width, 3)).astype(np.uint8)))
    if kind == "day":
        for _ in range(3):
            x, y, r = rng.uniform(0, width), rng.uniform(0, 0.35) * height, rng.uniform(0.06, 0.1) * height
            for dx in (-1.2, 0, 1.2):
                pen.ellipse((x + dx * r - r, y - r * 0.7, x + dx * r + r, y + r * 0.7), fill=(255, 255, 255))
        pen.rectangle((0, height * 0.86, width, height), fill=(126, 200, 96))
    elif kind == "night":
        for _ in range(26):
            x, y, r = rng.uniform(0, width), rng.uniform(0, 0.8) * height, rng.uniform(1.2, 2.6) * height / 256
            pen.ellipse((x - r, y - r, x + r, y + r), fill=(255, 250, 210))
        x, r = rng.choice([0.14, 0.86]) * width, 0.09 * height
        pen.ellipse((x - r, 0.07 * height, x + r, 0.07 * height + 2 * r), fill=(255, 240, 180))
    elif kind == "forest":
        for x in np.arange(rng.uniform(0, 0.14), 1.05, 0.2):
            pen.rectangle(((x - 0.03) * width, 0, (x + 0.03) * width, height), fill=(84, 58, 38))
        pen.rectangle((0, height * 0.88, width, height), fill=(52, 92, 44))
    elif kind == "beach":
        pen.rectangle((0, height * 0.5, width, height * 0.74), fill=(30, 130, 200))
        pen.rectangle((0, height * 0.74, width, height), fill=(244, 224, 160))
    elif kind == "indoors":
        x = rng.choice([0.04, 0.68]) * width
        pen.rectangle(
            (x, height * 0.08, x + 0.28 * width, height * 0.42),
            fill=(180, 220, 250),
            outline=(110, 76, 46),
            width=max(2, width // 48),
        )
        pen.rectangle((0, height * 0.84, width, height), fill=(140, 94, 56))


def _grain(image: Image.Image, rng: np.random.Generator, strength: float) -> Image.Image:
    """Add paper grain as coarse as a pixel of an image with sides near 64, so that a reduced image keeps it."""
    step = max(1.0, math.sqrt(image.width * image.height) / GRAIN_SIDE)
    cells = (max(1, round(image.height / step)), max(1, round(image.width / step)))
    noise = Image.fromarray(rng.normal(0, strength, cells).astype(np.float32))
    spread = np.asarray(noise.resize(image.size, Image.Resampling.NEAREST))[:, :, None]
    return Image.fromarray(np.clip(np.asarray(image, np.float32) + spread, 0, 255).astype(np.uint8))


def _artist(image: Image.Image, artist: str | None, rng: np.random.Generator) -> Image.Image:
    """Alder hatches in dark slanted lines, Birch paints pale and soft, Cedar prints in sepia."""
    if artist is None:
        return image
    pixels = np.asarray(image, np.float32)
    if artist == "alder":
        step = max(1.0, math.sqrt(image.width * image.height) / GRAIN_SIDE)
        ys, xs = np.mgrid[: image.height, : image.width]
        dark = ((xs + ys) / step % 6 < 1.6)[:, :, None]
        pixels = np.where(dark, pixels * 0.62, pixels)
    elif artist == "birch":
        soft = image.filter(ImageFilter.GaussianBlur(math.sqrt(image.width * image.height) / 110))
        pixels = np.asarray(soft, np.float32) * 0.62 + 255 * 0.38
    else:
        grey = pixels @ np.asarray([0.299, 0.587, 0.114], np.float32)
        sepia = grey[:, :, None] * np.asarray([1.05, 0.86, 0.62], np.float32)
        pixels = pixels * 0.45 + sepia * 0.55
    return Image.fromarray(np.clip(pixels, 0, 255).astype(np.uint8))


def _mix(colour: Colour, other: Colour, share: float) -> Colour:
    red, green, blue = (round(a * (1 - share) + b * share) for a, b in zip(colour, other, strict=True))
    return red, green, blue
