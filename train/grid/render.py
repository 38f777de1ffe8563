"""The images of a grid that are not there yet: generated base model by base model, and each written as it comes."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import groupby
from pathlib import Path

from PIL import Image

from train.grid.adapters import Attachments
from train.grid.cells import Cell, Reading
from train.grid.jobs import Job, image_file
from train.models.base import BaseModel
from train.models.infotext import infotext, save_png
from train.models.load import base_of
from train.models.precision import keeping_of
from train.models.sampling.generate import Sampling, generate


def render(folder: Path, jobs: Sequence[Job], device: str, on_image: Callable[[], None]) -> None:
    """Generate what is missing; `on_image` is called for each image.

    Raises:
        PrepError: a base model or an adapter cannot be read, or they do not fit each other.
    """
    for job in jobs:
        missing = _missing(folder, job)
        if missing:
            base = base_of(job.model, device, keeping_of(job.how.options))
            _render(folder, base, missing, job.how.batch_size, on_image)


def _missing(folder: Path, job: Job) -> dict[str, Cell]:
    """Image → the first cell that shows it, of those not there."""
    found: dict[str, Cell] = {}
    for cell, key in job.cells:
        if not image_file(folder, key).is_file():
            found.setdefault(key, cell)
    return found


def _render(
    folder: Path, base: BaseModel, missing: dict[str, Cell], batch_size: int, on_image: Callable[[], None]
) -> None:
    """Cells of the same adapters and reading together, so that what is attached changes as seldom as can be."""
    attachments = Attachments(base)
    ordered = sorted(missing, key=lambda key: (_order(missing[key]), key))
    for (adapters, reading), keys in groupby(ordered, key=lambda key: (missing[key].adapters, missing[key].reading)):
        with attachments.on(adapters):
            _generate(folder, base, [(missing[key], key) for key in keys], reading, batch_size, on_image)


def _order(cell: Cell) -> tuple[str, str]:
    return repr(cell.adapters), repr(cell.reading)


def _generate(
    folder: Path,
    base: BaseModel,
    cells: Sequence[tuple[Cell, str]],
    reading: Reading,
    batch_size: int,
    on_image: Callable[[], None],
) -> None:
    def write(index: int, image: Image.Image) -> None:
        cell, key = cells[index]
        save_png(image, image_file(folder, key), infotext(cell.request, base.name, cell.facts()))
        on_image()

    sampling = Sampling(
        clip_skip=reading.clip_skip,
        zero_terminal=reading.zero_terminal,
        rescale=reading.rescale,
    )
    generate(base, [cell.request for cell, _ in cells], sampling, batch_size, write)
