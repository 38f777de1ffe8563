"""Curves over the steps of a run as SVG inside the page."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from pipeline.core.humanize import grouped
from pipeline.report.html.markup import Html, element

WIDTH, HEIGHT = 640, 250
LEFT, RIGHT, TOP, BOTTOM = 56, 14, 22, 26
TICKS = 4
COLOURS = 6
"""How many lines of one chart can be told apart."""
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


def drawn(chart: Chart) -> Html:
    """The chart as a card with its key."""
    across, up, marks = _scales(chart.lines)
    words = f"{chart.title}: {', '.join(line.name for line in chart.lines)}"
    image = element(
        "svg",
        *_grid(across, up, marks),
        *(part for line in chart.lines for part in _line(line, across, up)),
        *_best(chart, across),
        viewBox=f"0 0 {WIDTH} {HEIGHT}",
        role="img",
        aria_label=words,
    )
    keys = [element("span", element("i", class_=line.kind), line.name) for line in chart.lines]
    return element(
        "article",
        element("h3", chart.title),
        element("p", chart.note, class_="quiet"),
        image,
        element("p", *keys, class_="key"),
        class_="card chart",
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


def _grid(across: Scale, up: Scale, marks: Sequence[float]) -> list[Html]:
    parts = []
    for mark in marks:
        height = f"{up(mark):.1f}"
        kind = "axis" if mark == marks[0] else "grid"
        parts.append(element("line", x1=LEFT, x2=WIDTH - RIGHT, y1=height, y2=height, class_=kind))
        parts.append(element("text", f"{mark:.10g}", x=LEFT - 8, y=f"{up(mark) + 4:.1f}", text_anchor="end"))
    steps = [mark for mark in ticks(across.low, across.high) if across.low <= mark <= across.high and mark % 1 == 0]
    for step in steps:
        place = "end" if across(step) > WIDTH - RIGHT - 20 else "middle"
        parts.append(element("text", grouped(step), x=f"{across(step):.1f}", y=HEIGHT - BOTTOM + 18, text_anchor=place))
    return parts


def _line(line: Line, across: Scale, up: Scale) -> list[Html]:
    places = [(across(step), up(value)) for step, value in zip(line.steps, line.values, strict=True)]
    points = " ".join(f"{x:.1f},{y:.1f}" for x, y in places)
    parts = [element("polyline", element("title", line.name), points=points, class_=line.kind)]
    if line.dots or len(places) == 1:
        parts += [
            element(
                "circle",
                element("title", f"{line.name}, step {step}: {value:.5g}"),
                cx=f"{x:.1f}",
                cy=f"{y:.1f}",
                r="3.5",
                class_=line.kind,
            )
            for (x, y), step, value in zip(places, line.steps, line.values, strict=True)
        ]
    return parts


def _best(chart: Chart, across: Scale) -> list[Html]:
    if chart.best is None:
        return []
    step, words = chart.best
    x = across(step)
    anchor = "start" if x < LEFT + 70 else "end" if x > WIDTH - RIGHT - 70 else "middle"
    rule = element("line", x1=f"{x:.1f}", x2=f"{x:.1f}", y1=TOP - 4, y2=HEIGHT - BOTTOM)
    return [element("g", rule, element("text", words, x=f"{x:.1f}", y=TOP - 9, text_anchor=anchor), class_="best")]
