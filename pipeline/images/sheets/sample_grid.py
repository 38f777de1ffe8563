"""The samples of a run over time on one sheet: a row for each prompt, a column for each step, the base model first."""

from __future__ import annotations

import math
from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from PIL import Image, ImageDraw

from pipeline.core.decoding.image_io import load_rgb
from pipeline.core.errors import PrepError
from pipeline.core.fonts import Font, printable, shortened, writing

Size = tuple[int, int]
LONGEST = 8000
"""Pixels that a side of the sheet has at most."""
USUAL, SMALLEST = 256, 112
"""Pixels of an image's longer side: what is aimed at, and what is not gone below to make room for more columns."""
MARGIN, GAP, HEADER, LABEL = 28, 10, 62, 240
SHEET, CELL, LINE = (250, 250, 248), (234, 234, 230), (222, 222, 217)
DARK, PALE = (38, 40, 44), (122, 125, 132)
APART = 16
"""Pixels more between the first column and those after it."""
LARGE, SMALL = 16, 13


@dataclass(frozen=True, slots=True)
class Row:
    """A prompt on the sheet: its text, a line below it, and its images' (width, height)."""

    text: str
    below: str
    size: Size


@dataclass(frozen=True, slots=True)
class Column:
    """A step on the sheet: two lines of heading, and the file of each row's image; one not there is left blank."""

    heading: str
    below: str
    files: Sequence[Path]


class Thumbnails:
    """Images no larger than a sheet shows them, read once each; those used last are kept, as the same sheet is drawn
    again and again with a column more."""

    def __init__(self, most: int = 512) -> None:
        self._kept: OrderedDict[tuple[Path, int], Image.Image] = OrderedDict()
        self._most = most

    def __call__(self, file: Path) -> Image.Image | None:
        """The image, None if there is none that can be read."""
        try:
            key = file, file.stat().st_mtime_ns
            if key not in self._kept:
                self._kept[key] = load_rgb(file)
                self._kept[key].thumbnail((USUAL, USUAL), Image.Resampling.LANCZOS)
        except (OSError, PrepError):
            return None
        self._kept.move_to_end(key)
        while len(self._kept) > self._most:
            self._kept.popitem(last=False)
        return self._kept[key]


def kept_columns(steps: Sequence[int], most: int) -> list[int]:
    """Which of the steps' indices stay where only `most` find room: the first and the last, and between them as evenly
    as can be. Of those that leave the smallest gap the oldest goes first."""
    kept = list(range(len(steps)))
    while len(kept) > max(most, 2):
        gaps = [(steps[kept[at + 1]] - steps[kept[at - 1]], at) for at in range(1, len(kept) - 1)]
        del kept[min(gaps)[1]]
    return kept


def most_columns(rows: Sequence[Row], longest: int = LONGEST) -> int:
    """How many columns find room, with images as small as they may be."""
    widest = max(_fitted(row.size, SMALLEST)[0] for row in rows)
    return (longest - 2 * MARGIN - LABEL - APART) // (widest + GAP)


def draw_grid(
    rows: Sequence[Row],
    columns: Sequence[Column],
    read: Thumbnails | None = None,
    longest: int = LONGEST,
    apart: int = APART,
) -> Image.Image:
    """Draw the sheet, the first column `apart` pixels further from the others; no side is longer than `longest`, for which images
    are made smaller, and rows are left out at the end where even that does not do."""
    shown = rows[: max(1, (longest - 2 * MARGIN - HEADER) // (3 * SMALL + GAP + 8))]
    boxes = [_fitted(row.size, _side(shown, len(columns), longest)) for row in shown]
    cell = max(width for width, _ in boxes)
    heights = [max(height, min(5 * SMALL, longest // len(shown) // 2)) for _, height in boxes]
    lefts = [MARGIN + LABEL + place * (cell + GAP) + apart * (place > 0) for place in range(len(columns))]
    width = lefts[-1] + cell + MARGIN
    height = 2 * MARGIN + HEADER + sum(heights) + GAP * (len(shown) - 1)
    read = read or Thumbnails()
    sheet = Image.new("RGB", (width, height), SHEET)
    draw = ImageDraw.Draw(sheet)
    for left, column in zip(lefts, columns, strict=True):
        _write(draw, (left, MARGIN), column.heading, LARGE, DARK, cell)
        _write(draw, (left, MARGIN + 24), column.below, SMALL, PALE, cell)
    draw.line((MARGIN, MARGIN + HEADER - 12, width - MARGIN, MARGIN + HEADER - 12), fill=LINE)
    top = MARGIN + HEADER
    for number, (row, box, tall) in enumerate(zip(shown, boxes, heights, strict=True)):
        _label(draw, (MARGIN, top), row, tall)
        for left, column in zip(lefts, columns, strict=True):
            _paste(sheet, draw, (left + (cell - box[0]) // 2, top), box, read(column.files[number]))
        top += tall + GAP
    return sheet


def _side(rows: Sequence[Row], columns: int, longest: int) -> int:
    """The longer side of the images for which the sheet stays within `longest` both ways."""
    for side in range(USUAL, 8, -4):
        boxes = [_fitted(row.size, side) for row in rows]
        wide = 2 * MARGIN + LABEL + APART + columns * (max(width for width, _ in boxes) + GAP)
        tall = 2 * MARGIN + HEADER + sum(max(height, 3 * SMALL) + GAP for _, height in boxes)
        if wide <= longest and tall <= longest:
            return side
    return 8


def _fitted(size: Size, side: int) -> Size:
    """A size whose longer side is `side`; a small image is upscaled by whole numbers only, so that it stays sharp."""
    longer = max(size)
    factor = side / longer if longer > side else max(1, side // longer)
    return max(1, round(size[0] * factor)), max(1, round(size[1] * factor))


def _paste(sheet: Image.Image, draw: ImageDraw.ImageDraw, at: Size, box: Size, image: Image.Image | None) -> None:
    if image is None:
        draw.rectangle((*at, at[0] + box[0] - 1, at[1] + box[1] - 1), fill=CELL)
        return
    how = Image.Resampling.NEAREST if image.width < box[0] else Image.Resampling.LANCZOS
    sheet.paste(image.resize(box, how), at)


def _label(draw: ImageDraw.ImageDraw, at: Size, row: Row, tall: int) -> None:
    """The prompt in as many lines as there is room for, then what stands below it."""
    width, step = LABEL - 2 * GAP, SMALL + 5
    room = max(1, min(8, tall // step - 1))
    lines = _wrapped(printable(row.text), width, room)
    for number, line in enumerate(lines):
        _write(draw, (at[0], at[1] + number * step), line, SMALL, DARK, width)
    if tall >= (len(lines) + 1) * step:
        _write(draw, (at[0], at[1] + len(lines) * step + 2), row.below, SMALL, PALE, width)


def _wrapped(text: str, width: int, most: int) -> list[str]:
    """The text in at most so many lines, split at spaces; the last is cut where it does not end there."""
    font, lines, words = writing(SMALL, text), [""], text.split()
    for place, word in enumerate(words):
        longer = f"{lines[-1]} {word}".strip()
        if lines[-1] and _length(font, longer) > width:
            if len(lines) == most:
                lines[-1] = " ".join([lines[-1], *words[place:]])
                return lines
            lines.append(word)
        else:
            lines[-1] = longer
    return lines


def _write(
    draw: ImageDraw.ImageDraw, at: Size, text: str, points: int, colour: tuple[int, int, int], width: int
) -> None:
    text = shortened(text, points, width)
    draw.text(at, text, fill=colour, font=writing(points, text))


def _length(font: Font, text: str) -> float:
    return math.ceil(font.getlength(text))
