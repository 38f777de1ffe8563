"""Curves over the steps of a run: where their lines, marks and words lie in the SVG that chart.html draws."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from pipeline.core.humanize import grouped

WIDTH, HEIGHT = 640, 250
LEFT, RIGHT, TOP, BOTTOM = 56, 14, 22, 26
TICKS = 4
COLOURS = 6
"""How many lines of one chart can be distinguished."""
FAINT = "faint"
SPREAD = 0.04
"""Part of the values of a faint line, at either end, that may lie beyond the chart's edge."""


@dataclass(frozen=True, slots=True)
class Line:
    """A named line through (step, value) points; `kind` is c0 to c5, or faint for what only stands behind the others."""

    name: str
    steps: Sequence[int]
    values: Sequence[float]
    kind: str
    dots: bool = False


@dataclass(frozen=True, slots=True)
class Chart:
    """Lines under a title; `note` says what they are, `best` is a step to be marked, with its words."""

    title: str
    note: str
    lines: Sequence[Line]
    best: tuple[int, str] | None = None


@dataclass(frozen=True, slots=True)
class Scale:
    """Maps values from `low` to `high` onto pixels from `start` to `end`; what lies beyond is put on the edge."""

    low: float
    high: float
    start: float
    end: float

    def __call__(self, value: float) -> float:
        share = (min(max(value, self.low), self.high) - self.low) / (self.high - self.low)
        return self.start + share * (self.end - self.start)


@dataclass(frozen=True, slots=True)
class Label:
    """Words at a place in the chart, in pixels; `anchor` is SVG's text-anchor."""

    words: str
    x: str = ""
    y: str = ""
    anchor: str = "middle"


@dataclass(frozen=True, slots=True)
class DrawnLine:
    """A line as SVG wants it: `points` are pairs of pixels, `dots` its points with what they say."""

    name: str
    kind: str
    points: str
    dots: tuple[Label, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class DrawnChart:
    """A chart in pixels: the box of its lines, `marks` on the upright axis from the lowest, `ticks` on the steps."""

    title: str
    note: str
    lines: tuple[DrawnLine, ...]
    marks: tuple[Label, ...]
    ticks: tuple[Label, ...]
    best: Label | None
    width: int = WIDTH
    height: int = HEIGHT
    left: int = LEFT
    right: int = WIDTH - RIGHT
    top: int = TOP
    bottom: int = HEIGHT - BOTTOM


def draw(chart: Chart) -> DrawnChart:
    across, up, marks = _scales(chart.lines)
    steps = [step for step in ticks(across.low, across.high) if across.low <= step <= across.high and step % 1 == 0]
    return DrawnChart(
        title=chart.title,
        note=chart.note,
        lines=tuple(_line(line, across, up) for line in chart.lines),
        marks=tuple(Label(f"{mark:.10g}", y=f"{up(mark):.1f}") for mark in marks),
        ticks=tuple(_tick(step, across(step)) for step in steps),
        best=_best(chart, across),
    )


def ticks(low: float, high: float, count: int = TICKS) -> tuple[float, ...]:
    """Round numbers about `count` steps apart that hold the range: 0.13 to 0.48 gives 0.1, 0.2, 0.3, 0.4, 0.5."""
    if not high > low:
        low, high = (low - abs(low) / 2, high + abs(high) / 2) if low else (0.0, 1.0)
    power = 10.0 ** math.floor(math.log10((high - low) / count))
    step = next(power * factor for factor in (1, 2, 2.5, 5, 10) if power * factor * count >= (high - low) * 0.999)
    first, last = math.floor(low / step + 1e-9), math.ceil(high / step - 1e-9)
    return tuple(round(place * step, 12) for place in range(first, last + 1))


def _scales(lines: Sequence[Line]) -> tuple[Scale, Scale, tuple[float, ...]]:
    steps = [step for line in lines for step in (line.steps[0], line.steps[-1])]
    values = [value for line in lines for value in _shown(line)]
    marks = ticks(min(values), max(values))
    first, last = min(steps), max(max(steps), min(steps) + 1)
    return Scale(first, last, LEFT, WIDTH - RIGHT), Scale(marks[0], marks[-1], HEIGHT - BOTTOM, TOP), marks


def _shown(line: Line) -> Sequence[float]:
    if line.kind != FAINT:
        return line.values
    ordered = sorted(line.values)
    cut = int(SPREAD * len(ordered))
    return ordered[cut], ordered[-1 - cut]


def _tick(step: float, x: float) -> Label:
    return Label(grouped(step), x=f"{x:.1f}", anchor="end" if x > WIDTH - RIGHT - 20 else "middle")


def _line(line: Line, across: Scale, up: Scale) -> DrawnLine:
    places = [(f"{across(step):.1f}", f"{up(value):.1f}") for step, value in zip(line.steps, line.values, strict=True)]
    dots: tuple[Label, ...] = ()
    if line.dots or len(places) == 1:
        dots = tuple(
            Label(f"{line.name}, step {step}: {value:.5g}", x, y)
            for (x, y), step, value in zip(places, line.steps, line.values, strict=True)
        )
    return DrawnLine(line.name, line.kind, " ".join(f"{x},{y}" for x, y in places), dots)


def _best(chart: Chart, across: Scale) -> Label | None:
    if chart.best is None:
        return None
    step, words = chart.best
    x = across(step)
    anchor = "start" if x < LEFT + 70 else "end" if x > WIDTH - RIGHT - 70 else "middle"
    return Label(words, x=f"{x:.1f}", anchor=anchor)
