"""The figures of a grid as a table, and what is to be taken of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from pipeline.report.grid.facts import GridFacts
from pipeline.report.grid.measures import Figure, Known, Measured, Nearest, best, copies, measured
from pipeline.report.grid.scores import Scores

NAMES = ("fidelity", "obedience", "leakage", "variety", "copying", "saturation", "contrast")
"""Columns, in order; those of which nothing is known are left out."""
MEANINGS = {
    "fidelity": "of the trigger word's traits, the share found in images whose prompt has it",
    "obedience": "of what the prompt asks for beside it, the share found",
    "leakage": "of a trigger word's traits, the share found in images whose prompt has none, beyond the base model's image",
    "variety": "how far images of one prompt lie apart over seeds; 0.5 is unlike",
    "copying": "distance to the nearest training image; below 0.12 it is the same image",
    "saturation": "beside the base model's image, 1 is as much",
    "contrast": "beside the base model's image, 1 is as much",
}


@dataclass(frozen=True, slots=True)
class Row:
    """One setting in words, its figures as texts by column, and whether it is the best."""

    labels: tuple[str, ...]
    texts: tuple[str, ...]
    best: bool


@dataclass(frozen=True, slots=True)
class Figures:
    """The table; `advice` are sentences, `copies` images that are nearly training images; `tagger` saw them."""

    axes: tuple[str, ...]
    columns: tuple[str, ...]
    rows: tuple[Row, ...]
    advice: tuple[str, ...]
    copies: tuple[Nearest, ...]
    tagger: str

    @property
    def meanings(self) -> Mapping[str, str]:
        return {column: MEANINGS[column] for column in self.columns}


def figures_of(facts: GridFacts, scores: Scores, known: Known) -> Figures:
    rows = measured(facts, scores.images, known)
    columns = tuple(name for name in NAMES if any(name in row.figures for row in rows))
    axes = tuple(rows[0].place) if rows else ()
    first = best(rows)
    shown = tuple(
        Row(
            tuple(facts.axes[name][place] for name, place in row.place.items()),
            tuple(_text(row.figures.get(column)) for column in columns),
            first is not None and row is first[0],
        )
        for row in rows
    )
    advice = _advice(facts, first) if first else ()
    return Figures(axes, columns, shown, advice, tuple(copies(known.nearest.values())), scores.tagger)


def _text(figure: Figure | None) -> str:
    """`.82 ± .06`; a dash where it does not apply."""
    if figure is None:
        return "–"
    return f"{figure.mean:.2f}" + (f" ± {figure.half:.2f}" if figure.half is not None else "")


def _advice(facts: GridFacts, first: tuple[Measured, Measured | None]) -> tuple[str, ...]:
    """The best setting with its figures, and what the runner-up differs in."""
    winner, second = first
    if second is None:
        return ()
    found = [f"best at what was asked for: {_named(facts, winner)} ({_said(winner)})"]
    close = abs(_mean(winner, "fidelity") - _mean(second, "fidelity")) <= _half(winner, "fidelity") + _half(
        second, "fidelity"
    )
    found.append(
        f"next: {_named(facts, second)} ({_said(second)})"
        + ("; over these seeds the two cannot be told apart by fidelity" if close else "")
    )
    return tuple(found)


def _named(facts: GridFacts, row: Measured) -> str:
    return ", ".join(f"{name.replace('_', ' ')} {facts.axes[name][place]}" for name, place in row.place.items())


def _said(row: Measured) -> str:
    names: Sequence[str] = ("fidelity", "obedience", "leakage")
    return ", ".join(f"{name} {_text(row.figures[name])}" for name in names if name in row.figures)


def _mean(row: Measured, name: str) -> float:
    return row.figures[name].mean


def _half(row: Measured, name: str) -> float:
    return row.figures[name].half or 0.0
