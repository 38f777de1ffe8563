"""A grid of the test bench as JSON: its axes and, for every cell, the image and what made it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from pipeline.core.errors import PrepError
from pipeline.report.grid.facts import read_grid
from pipeline.review.runs.folders import CELLS, GRIDS, folder_of, images, names, word_of

SHOWN = ("prompt", "negative", "seed", "steps", "guidance", "sampler")


def grid_lines(root: Path) -> list[dict[str, Any]]:
    """Every grid in a line, the newest first; one that cannot be read says why."""
    found = []
    for name in names(root, GRIDS):
        try:
            facts = read_grid(root / GRIDS / name)
        except PrepError as error:
            found.append({"name": name, "words": error.message})
            continue
        axes = " × ".join(f"{len(values)} {axis.replace('_', ' ')}" for axis, values in facts.axes.items())
        found.append({"name": name, "words": axes or "one image"})
    return found


def grid_view(root: Path, name: str) -> dict[str, Any]:
    """Axes, cells, and which axes lie across and down.

    Raises:
        PrepError: there is no grid of that name, or it cannot be read.
    """
    folder = folder_of(root, GRIDS, name)
    facts = read_grid(folder)
    there = set(images(folder, CELLS))
    cells = []
    for cell in facts.cells:
        image = str(cell["image"])
        about = {key: cell[key] for key in SHOWN if key in cell}
        cells.append({"place": cell["place"], "image": word_of(name, image) if image in there else "", **about})
    axes = [{"name": axis, "values": list(values)} for axis, values in facts.axes.items()]
    return {"name": name, "axes": axes, "x": facts.x, "y": facts.y, "cells": cells}
