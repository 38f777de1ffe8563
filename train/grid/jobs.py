"""What has to be made of a grid: the cells of each base model, with the names of their images."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from train.grid.cells import Cell
from train.models.options import ModelOptions
from train.plan.fit_generation import Generating

IMAGES = "images"


@dataclass(frozen=True, slots=True)
class Job:
    """Cells of one base model, each with the name of its image."""

    model: ModelOptions
    how: Generating
    cells: tuple[tuple[Cell, str], ...]


def image_file(folder: Path, key: str) -> Path:
    return folder / IMAGES / f"{key}.png"
