"""A sheet of the images with the highest and the lowest loss, as they are trained on, with what is unusual about them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from PIL import Image, ImageDraw

from pipeline.core.decoding.image_io import UnreadableImage, load_cropped
from pipeline.core.files import replacing
from pipeline.core.fonts import printable, shortened, writing
from pipeline.store.values.bucket import Bucket

COLUMNS = 5
BOX = 240
"""Longer side of an image on the sheet, in pixels."""
MARGIN, GAP, PADDING, HEADER = 36, 14, 10, 56
LINES = 4
"""Lines of reasons under an image; the command's table has all of them."""
POINTS, LEADING = 13, 18
SHEET, CELL, BRIGHT, PALE, ALARM = (32, 33, 36), (43, 45, 49), (236, 237, 239), (154, 158, 166), (255, 138, 101)


@dataclass(frozen=True, slots=True)
class Tile:
    """An image on the sheet: its path in the set, its bucket, its losses in words, and the reasons."""

    path: str
    bucket: Bucket
    figures: str
    reasons: tuple[str, ...]


def draw_losses(root: Path, target: Path, groups: Mapping[str, Sequence[Tile]]) -> None:
    """Draw titled groups of tiles below each other into a PNG."""
    shown = {title: tiles for title, tiles in groups.items() if tiles}
    width, height = BOX + 2 * PADDING, BOX + 3 * PADDING + (2 + LINES) * LEADING
    rows = {title: -(-len(tiles) // COLUMNS) for title, tiles in shown.items()}
    columns = max(min(COLUMNS, len(tiles)) for tiles in shown.values())
    size = (
        2 * MARGIN + columns * (width + GAP) - GAP,
        2 * MARGIN + sum(HEADER + count * (height + GAP) + GAP for count in rows.values()) - 2 * GAP,
    )
    sheet = Image.new("RGB", size, SHEET)
    draw, top = ImageDraw.Draw(sheet), MARGIN
    for title, tiles in shown.items():
        draw.text((MARGIN, top), title, BRIGHT, writing(28, title))
        top += HEADER
        for place, tile in enumerate(tiles):
            corner = MARGIN + place % COLUMNS * (width + GAP), top + place // COLUMNS * (height + GAP)
            draw.rounded_rectangle((*corner, corner[0] + width - 1, corner[1] + height - 1), 8, CELL)
            _draw_tile(sheet, draw, (corner[0] + PADDING, corner[1] + PADDING), root, tile)
        top += rows[title] * (height + GAP) + GAP
    with replacing(target) as temporary:
        sheet.save(temporary, "PNG", optimize=True)


def _draw_tile(sheet: Image.Image, draw: ImageDraw.ImageDraw, corner: tuple[int, int], root: Path, tile: Tile) -> None:
    left, top = corner
    try:
        whole = load_cropped(root / tile.path, tile.bucket)
        scale = BOX / max(whole.size)
        small = max(1, round(whole.width * scale)), max(1, round(whole.height * scale))
        image = whole.resize(small, Image.Resampling.LANCZOS)
        sheet.paste(image, (left + (BOX - image.width) // 2, top + (BOX - image.height) // 2))
    except UnreadableImage as error:
        words = shortened(error.reason, POINTS, BOX)
        draw.text((left + BOX // 2, top + BOX // 2), words, ALARM, writing(POINTS, words), anchor="mm")
    name = printable(tile.path.removeprefix("images/"))
    lines = [(name, BRIGHT), (tile.figures, PALE)]
    lines += [(line, ALARM) for line in _wrapped(tile.reasons)]
    for number, (text, colour) in enumerate(lines):
        words = shortened(text, POINTS, BOX)
        draw.text((left, top + BOX + PADDING + number * LEADING), words, colour, writing(POINTS, words))


def _wrapped(reasons: Sequence[str]) -> list[str]:
    """The reasons in lines of a tile's width, as many as there is room for."""
    lines: list[str] = []
    for reason in reasons:
        line = ""
        for word in printable(reason).split(" "):
            longer = f"{line} {word}".strip()
            if line and writing(POINTS, longer).getlength(longer) > BOX:
                lines.append(line)
                longer = word
            line = longer
        lines.append(line)
    return lines if len(lines) <= LINES else [*lines[: LINES - 1], f"{lines[LINES - 1]} …"]
