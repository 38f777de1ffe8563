"""Contact sheets of crops: every image whole and small, what is cropped darkened, one JPEG or more per bucket."""

from __future__ import annotations

import math
import os
import re
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean

from PIL import Image, ImageDraw

from pipeline.core.decoding.image_io import UnreadableImage, decode, open_image, rgb
from pipeline.core.files import replacing
from pipeline.core.fonts import printable, shortened, writing
from pipeline.images.buckets.buckets import Size
from pipeline.store.values.bucket import CENTRE, Bucket

WIDTH, HEIGHT = 1640, 2400
"""Pixels that a sheet is at most, but for a single cell that is larger."""
NARROWEST = 820
IMAGE_AREA = 260 * 260
"""Pixels that a size takes in a cell."""
MARGIN, GAP, PADDING = 36, 16, 12
HEADER, CAPTION = 84, 66
SHEET, CELL, LINE = (32, 33, 36), (43, 45, 49), (255, 183, 77)
BRIGHT, PALE, ALARM = (236, 237, 239), (154, 158, 166), (255, 138, 101)
DARKENED = 0.28
"""What is left of the brightness of what is cropped."""
LARGE_LOSS = 0.2
WORKERS = 4
_OURS = re.compile(r"\d+x\d+(-\d+)?\.jpg")


@dataclass(frozen=True, slots=True)
class Cell:
    """An image on a sheet: its path in the set, (width, height), and its bucket."""

    path: str
    image: Size
    bucket: Bucket

    @property
    def size(self) -> Size:
        return self.bucket.size

    @property
    def scale(self) -> float:
        scale: float = max(self.bucket.scaled[0] / self.image[0], self.bucket.scaled[1] / self.image[1])
        return scale


@dataclass(frozen=True, slots=True)
class Grid:
    """How the cells of one size lie: columns and rows per page, and pixels of a cell's image."""

    columns: int
    rows: int
    box: Size

    @property
    def cell(self) -> Size:
        return self.box[0] + 2 * PADDING, self.box[1] + 2 * PADDING + CAPTION

    @property
    def sheet(self) -> Size:
        width = 2 * MARGIN + self.columns * (self.cell[0] + GAP) - GAP
        return max(NARROWEST, width), HEADER + 2 * MARGIN + self.rows * (self.cell[1] + GAP) - GAP


def draw_sheets(
    root: Path, folder: str, cells: Sequence[Cell], limit: int, progress: Callable[[str, int, int], None]
) -> dict[str, int]:
    """Draw the cells into `folder` of the set and take away the sheets that were there before.

    Args:
        limit: images per size, the most cropped first; 0 for all.
    Returns:
        How many sheets and images were drawn, and how many of these could not be read.
    """
    pages = [page for group in _grouped(cells) for page in _pages(group, limit)]
    total = sum(len(page.cells) for page in pages)
    drawn = unreadable = 0
    with ThreadPoolExecutor(min(WORKERS, os.cpu_count() or 1)) as pool:
        for page in pages:
            sheet, bad = _draw_page(root, page, pool)
            with replacing(root / folder / page.name) as temporary:
                sheet.save(temporary, "JPEG", quality=88, optimize=True)
            drawn, unreadable = drawn + len(page.cells), unreadable + bad
            progress("drawing crops", drawn, total)
    names = {page.name for page in pages}
    for old in (root / folder).glob("*.jpg"):
        if _OURS.fullmatch(old.name) and old.name not in names:
            old.unlink()
    counts = {"contact_sheets": len(pages), "crops_drawn": drawn}
    return counts | ({"images_not_drawn": unreadable} if unreadable else {})


# --- what stands on which page


@dataclass(frozen=True, slots=True)
class Page:
    """One sheet: its cells, and the words of its header about all images of the size."""

    name: str
    size: Size
    grid: Grid
    cells: Sequence[Cell]
    figures: str
    number: str


def _grouped(cells: Sequence[Cell]) -> Iterator[list[Cell]]:
    """The images of each bucket, the most cropped first."""
    groups: dict[Size, list[Cell]] = {}
    for cell in cells:
        groups.setdefault(cell.size, []).append(cell)
    for size in sorted(groups):
        yield sorted(groups[size], key=lambda cell: (-cell.bucket.loss, cell.path))


def _pages(group: Sequence[Cell], limit: int) -> Iterator[Page]:
    shown = group[:limit] if limit else group
    grid = grid_for(group[0].size, len(shown))
    each = grid.columns * grid.rows
    count = math.ceil(len(shown) / each)
    width, height = group[0].size
    for page in range(count):
        cells = shown[page * each : (page + 1) * each]
        rows = math.ceil(len(cells) / grid.columns)
        name = f"{width}x{height}" + (f"-{page + 1}" if page else "") + ".jpg"
        number = f"page {page + 1} of {count}" if count > 1 else ""
        yield Page(name, group[0].size, Grid(grid.columns, rows, grid.box), cells, _figures(group, len(shown)), number)


def grid_for(size: Size, count: int) -> Grid:
    """As many columns and rows as fit on a sheet, for cells of about the same area whatever the size's shape."""
    aspect = min(max(size[0] / size[1], 0.25), 4.0)
    box = round(math.sqrt(IMAGE_AREA * aspect)), round(math.sqrt(IMAGE_AREA / aspect))
    cell = Grid(1, 1, box).cell
    columns = max(1, (WIDTH - 2 * MARGIN + GAP) // (cell[0] + GAP))
    rows = max(1, (HEIGHT - HEADER - 2 * MARGIN + GAP) // (cell[1] + GAP))
    return Grid(min(columns, count), min(rows, math.ceil(count / columns)), box)


def _figures(group: Sequence[Cell], shown: int) -> str:
    losses, larger = [cell.bucket.loss for cell in group], [cell.scale for cell in group if cell.scale > 1]
    words = [f"{len(group)} images" if len(group) > 1 else "1 image"]
    words[0] += f", the {shown} most cropped" if shown < len(group) else ""
    words.append(f"{fmean(losses):.1%} cropped on average, {max(losses):.1%} at most")
    if larger:
        words.append(f"{len(larger)} upscaled, {max(larger):.2f} times at most")
    return "  ·  ".join(words)


# --- drawing


def _draw_page(root: Path, page: Page, pool: ThreadPoolExecutor) -> tuple[Image.Image, int]:
    """The sheet, and how many of its images could not be read."""
    sheet = Image.new("RGB", page.grid.sheet, SHEET)
    draw = ImageDraw.Draw(sheet)
    draw.text((MARGIN, MARGIN - 6), f"{page.size[0]} x {page.size[1]}", BRIGHT, writing(34))
    draw.text((MARGIN, MARGIN + 42), page.figures, PALE, writing(17))
    draw.text((page.grid.sheet[0] - MARGIN, MARGIN + 8), page.number, PALE, writing(17), anchor="ra")
    unreadable = 0
    thumbnails = pool.map(lambda cell: thumbnail(root, cell, page.grid.box), page.cells)
    for place, (cell, image) in enumerate(zip(page.cells, thumbnails, strict=True)):
        column, row = place % page.grid.columns, place // page.grid.columns
        left = MARGIN + column * (page.grid.cell[0] + GAP)
        top = HEADER + MARGIN + row * (page.grid.cell[1] + GAP)
        _draw_cell(sheet, draw, (left, top), page.grid, cell, image)
        unreadable += isinstance(image, str)
    return sheet, unreadable


def _draw_cell(
    sheet: Image.Image, draw: ImageDraw.ImageDraw, corner: Size, grid: Grid, cell: Cell, image: Image.Image | str
) -> None:
    left, top = corner
    width, height = grid.cell
    draw.rounded_rectangle((left, top, left + width - 1, top + height - 1), 8, CELL)
    middle = left + width // 2, top + PADDING + grid.box[1] // 2
    if isinstance(image, str):
        words = shortened(image, 15, grid.box[0])
        draw.text(middle, words, ALARM, writing(15, words), anchor="mm")
    else:
        sheet.paste(image, (middle[0] - image.width // 2, middle[1] - image.height // 2))
    folder, _, name = printable(cell.path).rpartition("/")
    lines = (
        (name, 15, BRIGHT),
        (folder.removeprefix("images/"), 13, PALE),
        (_caption(cell), 13, ALARM if cell.bucket.loss > LARGE_LOSS else PALE),
    )
    below = top + 2 * PADDING + grid.box[1] - 2
    for text, points, colour in lines:
        words = shortened(text, points, grid.box[0])
        draw.text((left + PADDING, below), words, colour, writing(points, words))
        below += points + 7


def _caption(cell: Cell) -> str:
    """What is cropped, how it was scaled, and the crop anchor."""
    held = cell.bucket.anchor
    kept = f"  ·  {held}" if held != CENTRE and cell.bucket.loss > 0 else ""
    return f"{cell.bucket.loss:.1%} cropped  ·  scaled by {cell.scale:.2f}{kept}"


def thumbnail(root: Path, cell: Cell, box: Size) -> Image.Image | str:
    """The whole image downscaled into the box with its crop marked, or why it cannot be drawn.

    A JPEG is decoded at a half, a quarter or an eighth where that is still twice the box; the crop is marked in parts
    of the image, so it lies the same.
    """
    scaled = cell.bucket.scaled
    ratio = min(box[0] / scaled[0], box[1] / scaled[1])
    small = max(1, round(scaled[0] * ratio)), max(1, round(scaled[1] * ratio))
    try:
        with open_image(root / cell.path) as image:
            image.draft(None, (2 * max(small), 2 * max(small)))
            whole = decode(image, cell.path, rgb(cell.bucket.background))
            downscaled = whole.resize(small, Image.Resampling.LANCZOS, reducing_gap=3.0)
    except UnreadableImage as error:
        return error.reason
    return _marked(downscaled, cell.bucket)


def _marked(downscaled: Image.Image, bucket: Bucket) -> Image.Image:
    """Darken what is cropped and draw a line around what is kept."""
    if not bucket.loss:
        return downscaled
    left, top, right, bottom = bucket.crop
    across, down = downscaled.width / bucket.scaled[0], downscaled.height / bucket.scaled[1]
    first = (
        min(math.floor(left * across + 0.5), downscaled.width - 1),
        min(math.floor(top * down + 0.5), downscaled.height - 1),
    )
    last = max(first[0] + 1, math.floor(right * across + 0.5)), max(first[1] + 1, math.floor(bottom * down + 0.5))
    marked = downscaled.point([int(value * DARKENED) for value in range(256)] * 3)
    marked.paste(downscaled.crop((*first, *last)), first)
    ImageDraw.Draw(marked).rectangle((*first, last[0] - 1, last[1] - 1), outline=LINE, width=2)
    return marked
