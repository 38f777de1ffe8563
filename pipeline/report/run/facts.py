"""What a run's folder tells: its run.json, log, validations, images and files, each of which may be missing."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pipeline.core.errors import PrepError
from pipeline.store.training_log import LogSummary, Row, Tally, lines, read_csv, read_figures

RUN, SET, LOG, VALIDATION, IMAGES, GRID = (
    "run.json",
    "set.json",
    "log.jsonl",
    "validation.jsonl",
    "images.csv",
    "progress/grid.png",
)
HELD_OUT, TRAIN_SUBSET = "held_out", "train_subset"
"""What validation.jsonl calls the loss on images held out of training, and on a few that it trains on."""


@dataclass(frozen=True, slots=True)
class Saved:
    """A snapshot: `validation` is the loss it was found to have, `bytes` the size of its file, None where it is gone."""

    file: str
    step: int
    epoch: int
    validation: float | None
    best: bool
    bytes: int | None


@dataclass(frozen=True, slots=True)
class RunFacts:
    """Everything there is to show of a run; `problems` names files that are there and cannot be read.

    `about` is run.json, {} without one; `validations` are the lines of validation.jsonl, `rows` all images of the run.
    """

    folder: Path
    about: Mapping[str, Any]
    figures: LogSummary
    validations: tuple[Mapping[str, Any], ...]
    rows: tuple[Row, ...]
    snapshots: tuple[Saved, ...]
    problems: tuple[str, ...]

    @property
    def root(self) -> Path:
        """The set's folder: a run lies in SET/runs/NAME."""
        return self.folder.parent.parent

    @property
    def held_out(self) -> frozenset[str]:
        found = part(self.about, "set").get("held out")
        return frozenset(str(path) for path in found) if isinstance(found, list) else frozenset()

    def setting(self, name: str) -> Any:
        """The value that a setting had in the run, None where it is not known."""
        return part(part(self.about, "settings"), name).get("value")


def part(values: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    """A mapping inside of another, {} where there is none."""
    found = values.get(name)
    return found if isinstance(found, dict) else {}


def collect_run(folder: Path) -> RunFacts:
    """Read a run's folder; what is missing stays empty, what cannot be read is in `problems`."""
    problems: list[str] = []

    def tried(read: Any, *given: Any, instead: Any) -> Any:
        try:
            return read(*given)
        except (PrepError, OSError, ValueError, TypeError, KeyError, AttributeError) as error:
            why = f"{error} is missing" if isinstance(error, KeyError) else error
            problems.append(error.message if isinstance(error, PrepError) else f"{given[0]} cannot be read: {why}")
            return instead

    about = tried(_json, folder / RUN, instead={})
    figures = tried(read_figures, folder / LOG, instead=read_figures(folder / "no log"))
    validations = tried(lambda file: tuple(_validation(line) for line in lines(file)), folder / VALIDATION, instead=())
    rows = tried(_rows, folder, figures, instead=())
    snapshots = tried(_snapshots, folder, about, instead=())
    return RunFacts(folder, about, figures, validations, rows, snapshots, tuple(problems))


def _json(file: Path) -> Mapping[str, Any]:
    if not file.is_file():
        return {}
    found = json.loads(file.read_text(encoding="utf-8"))
    if not isinstance(found, dict):
        raise ValueError("it holds no names with values")
    return found


def _validation(line: Mapping[str, Any]) -> Mapping[str, Any]:
    for split in (HELD_OUT, TRAIN_SUBSET):
        if line.get(split) is not None:
            float(line[split])
    return line


def _rows(folder: Path, figures: LogSummary) -> tuple[Row, ...]:
    """Every image of the run: counted by the log where there is one, else as images.csv has it."""
    listed = folder / IMAGES
    known = {row.path: row for row in read_csv(listed)} if listed.is_file() else {}
    for path, about in _json(folder / SET).items():
        known.setdefault(path, Row(path, str(about["concept"]), float(about["repeats"]), Tally()))
    if not figures.steps:
        return tuple(known[path] for path in sorted(known))
    return tuple(
        Row(path, row.concept, row.repeats, figures.images.get(path, Tally()))
        for path in sorted(known.keys() | figures.images.keys())
        for row in (known.get(path, Row(path, "", None, Tally())),)
    )


def _snapshots(folder: Path, about: Mapping[str, Any]) -> tuple[Saved, ...]:
    listed: Sequence[Mapping[str, Any]] = about.get("snapshots") or ()
    found = []
    for row in listed:
        name, loss = str(row["file"]), row.get("validation")
        file = folder / name
        there = file.parent == folder and file.is_file()
        found.append(
            Saved(
                name,
                int(row["step"]),
                int(row["epoch"]),
                None if loss is None else float(loss),
                row.get("best") is True,
                file.stat().st_size if there else None,
            )
        )
    return tuple(sorted(found, key=lambda snapshot: snapshot.step))
