"""A grid made: planned, shown, generated, looked at, and put on a page."""

from __future__ import annotations

import math
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pipeline.cli import console
from pipeline.cli.commands.grid.looking import Looking, grid_figures
from pipeline.cli.commands.grid.request import request_of
from pipeline.cli.commands.grid.source import Source
from pipeline.core.humanize import counted, duration

if TYPE_CHECKING:
    from pipeline.report.grid.figures import Figures
    from train.grid.axes import Axis
    from train.grid.plan import Common, Grid


@dataclass(frozen=True, slots=True)
class Wanted:
    """A grid that is planned: its axes, those across and down, and what all images have in common."""

    axes: tuple[Axis, ...]
    grid: Grid
    common: Common
    x: str | None
    y: str | None


def wanted_of(source: Source, given: Mapping[str, Any]) -> Wanted:
    """The grid that flags ask for.

    Raises:
        PrepError: a value is wrong, a file is not there, or there would be too many images.
    """
    from train.grid.axes import checked, laid_out
    from train.grid.options import axes_of
    from train.grid.plan import planned

    asked, common = request_of(source, given)
    axes = checked(axes_of(asked))
    x, y = laid_out(axes, given["x"], given["y"])
    return Wanted(axes, planned(axes, common), common, x, y)


def show_plan(wanted: Wanted, folder: Path) -> None:
    """What would be made, and what is there."""
    grid, axes = wanted.grid, wanted.axes
    missing = len(grid.missing(folder))
    varying = [f"{len(each.values)} × {each.name.replace('_', ' ')}" for each in axes if each.varies]
    cells = math.prod(len(each.values) for each in axes)
    same = f", {cells - len(grid.keys)} of them the same as another" if cells > len(grid.keys) else ""
    console.say(f"{counted(cells, 'image')}{': ' if varying else ''}{', '.join(varying)}{same}")
    console.say(f"{missing} to generate, {len(grid.keys) - missing} there already, in {folder}")
    for told in dict.fromkeys(job.how.told for job in grid.jobs if job.how.told):
        console.say(told)


def made(wanted: Wanted, folder: Path, looking: Looking | None) -> tuple[list[Path], Figures | None]:
    """Generate what is missing; the page and the sheets, and the figures."""
    from pipeline.report.grid.facts import read_grid
    from pipeline.report.grid.page import write_grid_page
    from pipeline.report.grid.sheets import draw_sheets
    from train.grid.listing import listing_of, write_listing

    write_listing(folder, listing_of(wanted.grid, wanted.x, wanted.y))
    missing = len(wanted.grid.missing(folder))
    if missing:
        _generate(wanted.grid, wanted.common, folder, missing)
    facts = read_grid(folder)
    sheets = draw_sheets(facts)
    figures = grid_figures(facts, looking, wanted.common.device) if looking else None
    return [write_grid_page(facts, sheets, figures), *sheets], figures


def _generate(grid: Grid, common: Common, folder: Path, total: int) -> None:
    from train.grid.render import render

    done, began = 0, time.monotonic()
    with console.progress_bars() as bars:

        def on_image() -> None:
            nonlocal done
            done += 1
            left = (time.monotonic() - began) / done * (total - done)
            bars(f"generating images: {duration(left)} left" if done < total else "generating images", done, total)

        render(folder, grid.jobs, common.device, on_image)
