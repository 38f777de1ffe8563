"""A run as JSON: how far it is, its curves, its adapters, and its samples over the steps."""

from __future__ import annotations

import functools
import json
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from pipeline.core.humanize import in_words
from pipeline.report.run.comparison import comparison
from pipeline.report.run.curves import curves_view
from pipeline.report.run.facts import LOG, RUN, VALIDATION, RunFacts, collect_run, part
from pipeline.report.run.snapshots import recommended, snapshots_view
from pipeline.review.runs.folders import PROGRESS, RUNS, folder_of, images, names, word_of

ALIVE = 90.0
"""Seconds since its last line within which a run without a result counts as training."""
TAIL = 1 << 16
PROMPTS = "progress/prompts.json"

Json = dict[str, Any]


def run_lines(root: Path) -> list[Json]:
    """Every run in a line, the newest first."""
    return [_line(root / RUNS / name) for name in names(root, RUNS)]


def _line(folder: Path) -> Json:
    about = _about(folder)
    step = _last_step(folder / LOG)
    result = part(about, "result")
    losses = [row["validation"] for row in about.get("snapshots") or () if row.get("validation") is not None]
    return {
        "name": folder.name,
        "state": _state(folder, result),
        "step": step,
        "steps": about.get("steps"),
        "best": min(losses, default=None),
        "adapters": len(about.get("snapshots") or ()),
    }


def _about(folder: Path) -> Mapping[str, Any]:
    try:
        found = json.loads((folder / RUN).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}


def _state(folder: Path, result: Mapping[str, Any]) -> str:
    if result:
        return "finished"
    try:
        idle = time.time() - (folder / LOG).stat().st_mtime
    except OSError:
        return "not begun"
    return "training" if idle < ALIVE else "stopped"


def _last_step(log: Path) -> int:
    """The step of a log's last whole line, without reading the lines before it."""
    try:
        with log.open("rb") as stream:
            size = stream.seek(0, 2)
            stream.seek(max(0, size - TAIL))
            lines = stream.read().split(b"\n")
    except OSError:
        return 0
    for line in reversed(lines):
        try:
            return int(json.loads(line)["step"])
        except (ValueError, KeyError, TypeError):
            continue
    return 0


def run_view(root: Path, name: str) -> Json:
    """Everything about one run.

    Raises:
        PrepError: there is none of that name.
    """
    folder = folder_of(root, RUNS, name)
    facts = _facts(folder, _stamps(folder))
    view = curves_view(facts)
    best, why = recommended(facts)
    return {
        **_line(folder),
        "charts": [asdict(chart) for chart in view.charts] if view else [],
        "speed": view.speed if view else None,
        "memory": in_words(view.memory) if view and view.memory else "",
        "snapshots": [_snapshot(row.saved, row.recommended) for row in snapshots_view(facts) or ()],
        "use": {"file": best.file if best else "", "why": why},
        "samples": samples(folder),
        "problems": list(facts.problems),
    }


def _snapshot(saved: Any, recommended: bool) -> Json:
    there = saved.bytes is not None
    return {**asdict(saved), "size": in_words(saved.bytes) if there else "gone", "recommended": recommended}


def _stamps(folder: Path) -> tuple[tuple[int, int], ...]:
    """Sizes and times of the files that a run's figures are read from."""
    found = []
    for name in (RUN, LOG, VALIDATION):
        try:
            status = (folder / name).stat()
            found.append((status.st_size, status.st_mtime_ns))
        except OSError:
            found.append((0, 0))
    return tuple(found)


@functools.lru_cache(maxsize=8)
def _facts(folder: Path, stamps: tuple[tuple[int, int], ...]) -> RunFacts:
    """A run's folder, read once for as long as its files stay as they are."""
    return collect_run(folder)


def samples(folder: Path) -> Json:
    """The samples of a run by prompt and step: `rows` are prompts, `columns` the steps in order, the base model first."""
    prompts = _prompts(folder / PROMPTS)
    found: dict[str, list[str]] = {}
    for path in images(folder, PROGRESS):
        _, *folders, _name = path.split("/")
        if folders:
            found.setdefault("/".join(folders), []).append(path)
    columns = sorted(found, key=lambda column: (column != "base", column))
    cells = [[word_of(folder.name, path) for path in found[column]] for column in columns]
    return {"rows": prompts, "columns": [_column(column) for column in columns], "images": cells}


def _column(name: str) -> str:
    kind, _, number = name.partition(" ")
    return f"{kind} {int(number)}" if number.isdigit() else name


def _prompts(file: Path) -> list[str]:
    try:
        return [str(each["prompt"]) for each in json.loads(file.read_text(encoding="utf-8"))["prompts"]]
    except (OSError, ValueError, KeyError, TypeError):
        return []


def compared(root: Path, wanted: Sequence[str]) -> Json:
    """Runs side by side: settings and results that differ, and their curves in one.

    Raises:
        PrepError: there is none of one of these names.
    """
    folders = [folder_of(root, RUNS, name) for name in wanted]
    found = comparison([_facts(folder, _stamps(folder)) for folder in folders])
    return {
        "names": list(found.names),
        "settings": [asdict(row) for row in found.settings],
        "results": [asdict(row) for row in found.results],
        "charts": [asdict(chart) for chart in found.charts],
        "problems": list(found.problems),
    }
