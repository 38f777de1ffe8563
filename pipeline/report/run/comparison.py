"""Training runs beside each other: the settings in which they differ, what came of each, and their losses as curves."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pipeline.core.files import write_text
from pipeline.report.html.charts import COLOURS, Chart, DrawnChart, Line, draw
from pipeline.report.html.page import Page, Section, render_page
from pipeline.report.run.facts import HELD_OUT, TRAIN_SUBSET, RunFacts, part
from pipeline.store.training_log import smooth, thinned

OWN = ("name", "replay", "preset", "suggest", "device")
"""Settings that say which run it is, not how it goes."""
POINTS = 400
NOTHING = "–"


@dataclass(frozen=True, slots=True)
class Difference:
    """A setting, or a fact about the run, and its value in each run as text."""

    name: str
    values: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Comparison:
    """`names` of the runs; what differs, what came of them, and the charts."""

    names: tuple[str, ...]
    settings: tuple[Difference, ...]
    results: tuple[Difference, ...]
    charts: tuple[DrawnChart, ...]
    problems: tuple[str, ...]

    @property
    def words(self) -> str:
        return " and ".join(self.names) if len(self.names) == 2 else ", ".join(self.names)


def comparison(runs: Sequence[RunFacts]) -> Comparison:
    """What the records of the runs say, without loading anything."""
    names = tuple(run.folder.name for run in runs)
    charts = (_validation(runs), _training(runs))
    return Comparison(
        names,
        tuple(_differences(runs)),
        tuple(_results(runs)),
        tuple(draw(chart) for chart in charts if chart is not None),
        tuple(problem for run in runs for problem in run.problems),
    )


def _differences(runs: Sequence[RunFacts]) -> Iterator[Difference]:
    """Settings by name, then versions, the base model, the device and the set, those that are not the same in all."""
    settings = [
        {name: part(row, "value") or row.get("value") for name, row in part(run.about, "settings").items()}
        for run in runs
    ]
    yield from _unlike(settings, OWN)
    for what in ("versions", "base"):
        yield from _unlike([part(run.about, what) for run in runs], (), f"{what}: ")
    rows = [
        {"device": run.about.get("device"), "set": str(part(run.about, "set").get("digest") or "")[:12]} for run in runs
    ]
    yield from _unlike(rows, ())


def _unlike(rows: Sequence[Mapping[str, Any]], leave: Sequence[str], before: str = "") -> Iterator[Difference]:
    """What an older prep did not record yet is no difference by itself."""
    for name in sorted({name for row in rows for name in row} - set(leave)):
        texts = tuple(_text(row.get(name)) for row in rows)
        if len({text for text, row in zip(texts, rows, strict=True) if name in row}) > 1:
            yield Difference(before + name, texts)


def _text(value: Any) -> str:
    if value is None:
        return NOTHING
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def _results(runs: Sequence[RunFacts]) -> Iterator[Difference]:
    yield Difference("steps trained", tuple(str(run.figures.last) for run in runs))
    yield Difference("images", tuple(_text(part(run.about, "set").get("images")) for run in runs))
    yield Difference("lowest validation loss", tuple(_lowest(run) for run in runs))
    yield Difference("training loss at the end", tuple(_last(run) for run in runs))
    yield Difference(
        "snapshots there", tuple(str(sum(each.bytes is not None for each in run.snapshots)) for run in runs)
    )


def _points(run: RunFacts) -> tuple[str, list[tuple[int, float]]]:
    """Which split was evaluated, held-out images before trained ones, and its (step, loss)."""
    for split in (HELD_OUT, TRAIN_SUBSET):
        found = [(int(each["step"]), float(each[split])) for each in run.validations if each.get(split) is not None]
        if found:
            return split, found
    return "", []


def _lowest(run: RunFacts) -> str:
    split, points = _points(run)
    if not points:
        return NOTHING
    step, loss = min(points, key=lambda point: (point[1], point[0]))
    where = "" if split == HELD_OUT else ", on images it trains on"
    return f"{loss:.5g} at step {step}{where}"


def _last(run: RunFacts) -> str:
    curve = run.figures.curves.get("loss")
    return f"{smooth(curve).values[-1]:.4g}" if curve is not None and curve.values else NOTHING


def _validation(runs: Sequence[RunFacts]) -> Chart | None:
    lines = []
    for number, run in enumerate(runs[:COLOURS]):
        _, points = _points(run)
        if points:
            steps, losses = zip(*points, strict=True)
            lines.append(Line(run.folder.name, steps, losses, f"c{number}", dots=len(points) <= 60))
    note = "Comparable where the runs held out the same images and measured them alike."
    return Chart("Validation loss", note, tuple(lines)) if lines else None


def _training(runs: Sequence[RunFacts]) -> Chart | None:
    lines = []
    for number, run in enumerate(runs[:COLOURS]):
        curve = run.figures.curves.get("loss")
        if curve is not None and curve.values:
            shown = thinned(smooth(curve), POINTS)
            lines.append(Line(run.folder.name, shown.steps, shown.values, f"c{number}"))
    note = "Moving means; objectives with other weights are not comparable."
    return Chart("Training loss", note, tuple(lines)) if lines else None


def write_comparison(found: Comparison, file: Path, images: str = "") -> Path:
    """Write the page; `images` is the name of a grid's page beside it, "" where there is none."""

    def section(id: str, title: str, view: object | None, missing: str) -> Section:
        return Section(id, title, f"compare/{id}.html", view, missing)

    sections = (
        section("settings", "Settings that differ", found.settings or None, "All settings are the same."),
        section("results", "Results", found.results, ""),
        section("curves", "Curves", found.charts or None, "No step is logged in any of the runs."),
        section("images", "Images", images or None, "No images were made; leave --no-images out."),
    )
    page = Page(
        template="compare/page.html",
        title=found.words,
        top=found,
        sections=sections,
        styles=("page.css", "run.css"),
        script="run.js",
    )
    write_text(file, render_page(page))
    return file
