"""Paint a scene, the same pixels for the same scene every time.

An image is drawn several times too large and reduced, so edges are smooth at 64 pixels already.
"""

from __future__ import annotations

import math

import numpy as np
from PIL import Image, ImageDraw, ImageFilter

from train.miniature.background import paint_background
from train.miniature.figure import Figure, Pose
from train.miniature.scenes import Scene

SUPERSAMPLING = 4
GRAIN_SIDE = 64


def paint(scene: Scene, scale: float = 1.0) -> Image.Image:
    """Paint a scene as RGB, `scene.size` times `scale` pixels large."""
    width, height = (max(8, round(side * scale)) for side in scene.size)
    rng = np.random.default_rng([7, scene.seed])
    canvas = Image.new("RGB", (width * SUPERSAMPLING, height * SUPERSAMPLING))
    paint_background(canvas, scene.background, rng)
    for girl, place in zip(scene.girls, _places(scene, canvas.size, rng), strict=True):
        Figure(ImageDraw.Draw(canvas), girl, place, outlined=scene.medium == "fan art").draw()
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
            Figure(ImageDraw.Draw(canvas), girl, place, outlined=scene.medium == "fan art").draw()
        over.append(np.asarray(canvas.resize((width, height), Image.Resampling.BOX), np.float32))
    alpha = 1 - (over[1] - over[0]).mean(axis=2, keepdims=True) / 255
    colour = over[0] / np.maximum(alpha, 1 / 255)
    return Image.fromarray(np.clip(np.concatenate([colour, alpha * 255], axis=2), 0, 255).astype(np.uint8), "RGBA")


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


def _grain(image: Image.Image, rng: np.random.Generator, strength: float) -> Image.Image:
    """Add paper grain as coarse as a pixel of an image with sides near 64, so that a reduced image keeps it."""
    step = max(1.0, math.sqrt(image.width * image.height) / GRAIN_SIDE)
    cells = (max(1, round(image.height / step)), max(1, round(image.width / step)))
    noise = Image.fromarray(rng.normal(0, strength, cells).astype(np.float32))
    offsets = np.asarray(noise.resize(image.size, Image.Resampling.NEAREST))[:, :, None]
    return Image.fromarray(np.clip(np.asarray(image, np.float32) + offsets, 0, 255).astype(np.uint8))


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
