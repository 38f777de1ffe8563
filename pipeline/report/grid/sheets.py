"""A grid as PNG sheets with labels: one, or one for each value of the axes that lie neither across nor down."""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterator, Mapping
from pathlib import Path

from pipeline.core.files import replacing
from pipeline.images.sheets.sample_grid import Column, Row, Thumbnails, draw_grid
from pipeline.report.grid.facts import GridFacts

SHEET = "sheet"


def draw_sheets(facts: GridFacts) -> list[Path]:
    """Write every sheet, those of an earlier layout removed; the files, in order."""
    read, made = Thumbnails(), []
    for number, fixed in enumerate(_fixed(facts)):
        made.append(facts.folder / _name(facts, fixed, number))
        rows, columns = _laid_out(facts, fixed)
        with replacing(made[-1]) as temporary:
            draw_grid(rows, columns, read, apart=0).save(temporary, "PNG", compress_level=4)
    for old in facts.folder.glob(f"{SHEET}*.png"):
        if old not in made:
            old.unlink()
    return made


def _fixed(facts: GridFacts) -> Iterator[Mapping[str, int]]:
    """Every combination of the axes that a sheet has one value of."""
    places = (range(len(facts.axes[name])) for name in facts.others)
    for combination in itertools.product(*places):
        yield dict(zip(facts.others, combination, strict=True))


def _laid_out(facts: GridFacts, fixed: Mapping[str, int]) -> tuple[list[Row], list[Column]]:
    said = ", ".join(f"{_called(name)} {facts.axes[name][place]}" for name, place in fixed.items())
    down = facts.axes[facts.y] if facts.y else ("",)
    across = facts.axes[facts.x] if facts.x else ("",)
    cells = {tuple(sorted(cell["place"].items())): cell for cell in facts.cells}

    def place(row: int, column: int) -> tuple[tuple[str, int], ...]:
        chosen = dict(fixed) | ({facts.y: row} if facts.y else {}) | ({facts.x: column} if facts.x else {})
        return tuple(sorted((name, number) for name, number in chosen.items() if name is not None))

    rows = []
    for number, label in enumerate(down):
        width, height = cells[place(number, 0)]["size"]
        title = (
            f"{_called(facts.y)} {label}"
            if facts.y and facts.y != "prompt"
            else label or cells[place(number, 0)]["prompt"]
        )
        rows.append(Row(title, said, (width, height)))
    columns = []
    for column, label in enumerate(across):
        files = [facts.folder / cells[place(row, column)]["image"] for row in range(len(down))]
        columns.append(Column(f"{_called(facts.x)} {label}" if facts.x else "", "", files))
    return rows, columns


def _name(facts: GridFacts, fixed: Mapping[str, int], number: int) -> str:
    """sheet.png, or sheet-02-AXIS-VALUE.png."""
    if not fixed:
        return f"{SHEET}.png"
    words = " ".join(f"{name} {facts.axes[name][place]}" for name, place in fixed.items())
    plain = re.sub(r"[^A-Za-z0-9._-]+", "-", words).strip("-.")[:40]
    return f"{SHEET}-{number + 1:02}-{plain}".rstrip("-.") + ".png"


def _called(name: str | None) -> str:
    return (name or "").replace("_", " ")
