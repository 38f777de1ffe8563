"""What lies behind the figures of a scene: sky, trees, sea or a room."""

from __future__ import annotations

import numpy as np
from PIL import Image, ImageDraw

from train.miniature.colours import Colour


def paint_background(canvas: Image.Image, kind: str, rng: np.random.Generator) -> None:
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
