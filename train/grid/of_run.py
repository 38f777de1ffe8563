"""What a training run of a set gives a grid: its snapshots, base model, and how its texts were read."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

from pipeline.core.errors import PrepError
from train.options.recipe import Recipe, recipe_of
from train.run.run_record import RUN, adapter_file, read_run, run_folder
from train.run.snapshots import from_rows


@dataclass(frozen=True, slots=True)
class RunFiles:
    """A run's adapters by name, in the order in which they were saved, the finished one last; and its recipe."""

    adapters: tuple[tuple[str, Path], ...]
    recipe: Recipe


def run_files(root: Path, name: str) -> RunFiles:
    """Raises:
    PrepError: there is no such run, or nothing of it is left.
    """
    folder = run_folder(root, name)
    if not (folder / "recipe.json").is_file():
        raise PrepError(f"there is no run {name!r} in {root}", f"train one with: prep train {root} --name {name}")
    recipe = recipe_of(json.loads((folder / "recipe.json").read_text(encoding="utf-8")))
    snapshots = from_rows(read_run(folder / RUN).get("snapshots", []))
    found = [
        (f"step {each.step}" if "-step" in each.file else f"epoch {each.epoch}", folder / each.file)
        for each in sorted(snapshots, key=lambda each: each.step)
    ]
    names = [label for label, _ in found]
    found = [
        (label if names.count(label) == 1 else f"{label}, {file.stem}", file) for label, file in found if file.is_file()
    ]
    last = adapter_file(root, name)
    if last.is_file():
        found.append((name, last))
    if not found:
        raise PrepError(f"the run {name!r} has no adapter yet", f"go on with: prep train {root} --name {name}")
    return RunFiles(tuple(found), recipe)
