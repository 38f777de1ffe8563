"""One girl of a scene, drawn back to front. Everything is placed in units of the head's radius, so that a figure keeps its
proportions at any size."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from PIL import ImageDraw

from train.miniature.colours import CLOTH, EYES, HAIR, INK, LEATHER, SKIN, Colour, mix
from train.miniature.scenes import Girl


@dataclass(frozen=True, slots=True)
class Pose:
    """Where a head is: centre and radius in canvas pixels; `turn` is -1 or 1, the side a ponytail falls to."""

    x: float
    y: float
    radius: float
    turn: int
    bottom: float


class Figure:
    """Draws one girl, back to front: hair behind, body, head, face, fringe, headwear."""

    def __init__(self, draw: ImageDraw.ImageDraw, girl: Girl, place: Pose, outlined: bool) -> None:
        self.pen, self.girl, self.place = draw, girl, place
        self.line = max(1, round(place.radius * 0.07)) if outlined else 0
        self.hair = HAIR[girl.hair]
        self.shade = mix(self.hair, INK, 0.22)
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
        self._stroke([(-0.5, -0.86), (-0.1, -0.98), (0.3, -0.92)], mix(self.hair, (255, 255, 255), 0.4), 0.08)

    def _face(self) -> None:
        iris = EYES[self.girl.eyes]
        for side in (-1, 1):
            self._ellipse(side * 0.43, 0.2, 0.29, 0.37, (255, 255, 255), line=False)
            self._ellipse(side * 0.43, 0.22, 0.26, 0.34, iris, line=False)
            self._ellipse(side * 0.43, 0.27, 0.09, 0.14, mix(iris, INK, 0.75), line=False)
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
                [(-0.62, 1.12), (-0.4, 1.42), (0, 1.52), (0.4, 1.42), (0.62, 1.12)], mix(self.cloth, INK, 0.45), 0.26
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
