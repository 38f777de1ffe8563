"""grid.json, read: the axes of a grid, how it lies on a sheet, and its cells."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pipeline.core.errors import PrepError

LISTING = "grid.json"


@dataclass(frozen=True, slots=True)
class GridFacts:
    """`axes` are those that vary, each with the labels of its values; `x` and `y` lie across and down."""

    folder: Path
    axes: Mapping[str, Sequence[str]]
    x: str | None
    y: str | None
    cells: Sequence[Mapping[str, Any]]

    @property
    def others(self) -> tuple[str, ...]:
        """The axes that lie neither across nor down."""
        return tuple(name for name in self.axes if name not in (self.x, self.y))


def read_grid(folder: Path) -> GridFacts:
    """Raises:
    PrepError: there is no grid in the folder.
    """
    file = folder / LISTING
    try:
        found = json.loads(file.read_text(encoding="utf-8"))
        axes = {each["name"]: tuple(each["values"]) for each in found["axes"]}
        return GridFacts(folder, axes, found["x"], found["y"], found["cells"])
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise PrepError(f"there is no grid in {folder}: {error}", "make one with: prep grid") from error
