"""The page of a grid: two axes at a time, the others chosen, every image with all that made it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pipeline.core.files import write_text
from pipeline.report.grid.facts import GridFacts
from pipeline.report.grid.figures import Figures
from pipeline.report.html.page import Page, render_page

PAGE = "grid.html"


@dataclass(frozen=True, slots=True)
class View:
    """What the template and the script are given; `sheets` are names of files beside the page."""

    images: int
    there: int
    words: tuple[str, ...]
    sheets: tuple[str, ...]
    figures: Figures | None
    data: dict[str, Any]


def write_grid_page(facts: GridFacts, sheets: list[Path], figures: Figures | None = None) -> Path:
    """Write FOLDER/grid.html, which shows the images beside it and loads nothing else."""
    shown = {cell["image"] for cell in facts.cells}
    there = {image for image in shown if (facts.folder / image).is_file()}
    words = tuple(f"{len(values)} × {name.replace('_', ' ')}" for name, values in facts.axes.items())
    data = {
        "axes": [{"name": name, "values": list(values)} for name, values in facts.axes.items()],
        "x": facts.x,
        "y": facts.y,
        "cells": [dict(cell) | {"there": cell["image"] in there} for cell in facts.cells],
    }
    view = View(len(shown), len(there), words, tuple(sheet.name for sheet in sheets), figures, data)
    target = facts.folder / PAGE
    page = Page(
        template="grid/page.html",
        title=f"Grid {facts.folder.resolve().name}",
        top=view,
        sections=(),
        styles=("page.css", "grid.css"),
        script="grid.js",
        beside=True,
    )
    write_text(target, render_page(page))
    return target
