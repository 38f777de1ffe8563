"""The sheet of samples over the steps of a run."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from pipeline.core.decoding.image_io import UnreadableImage, load_rgb
from pipeline.report.html.thumbnails import encode
from pipeline.report.run.facts import GRID

SHEET_SIDE = 2400
"""Pixels of the longer side of the sheet inside the page."""


@dataclass(frozen=True, slots=True)
class SheetView:
    """The sheet as a data URL, and its file beside the page; `problem` says why it cannot be shown."""

    file: str = GRID
    url: str = ""
    width: int = 0
    height: int = 0
    problem: str = ""


def samples_view(folder: Path) -> SheetView | None:
    """The sheet of a run's folder, None where there is none."""
    file = folder / GRID
    if not file.is_file():
        return None
    try:
        url, (width, height) = encode(load_rgb(file), SHEET_SIDE)
    except UnreadableImage as error:
        return SheetView(problem=f"{GRID} cannot be read: {error}")
    return SheetView(GRID, url, width, height)
