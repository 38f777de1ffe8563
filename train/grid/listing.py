"""grid.json: the axes of a grid and the image of every cell, from which its page and its sheets are made."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from pipeline.core.files import write_text
from train.grid.jobs import IMAGES
from train.grid.plan import Grid

LISTING = "grid.json"


def listing_of(grid: Grid, x: str | None, y: str | None) -> dict[str, Any]:
    """Plain data: nothing in it names a folder of this machine."""
    varying = [each for each in grid.axes if each.varies]
    fixed = {each.name: each.values[0].label for each in grid.axes if not each.varies and each.values[0].label}
    cells = []
    for job in grid.jobs:
        for cell, key in job.cells:
            request = cell.request
            cells.append(
                {
                    "place": {each.name: cell.place[each.name] for each in varying},
                    "image": f"{IMAGES}/{key}.png",
                    "size": list(request.size),
                    "prompt": request.prompt,
                    "negative": request.negative,
                    "seed": request.seed,
                    "steps": request.steps,
                    "guidance": request.guidance,
                    "sampler": request.sampler,
                    **{name.lower().replace(" ", "_"): value for name, value in cell.facts().items()},
                }
            )
    return {
        "format": 1,
        "axes": [{"name": each.name, "values": [value.label for value in each.values]} for each in varying],
        "fixed": fixed,
        "x": x,
        "y": y,
        "cells": cells,
    }


def write_listing(folder: Path, listing: dict[str, Any]) -> None:
    write_text(folder / LISTING, json.dumps(listing, indent=1, ensure_ascii=False) + "\n")
