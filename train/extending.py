"""A finished run that is asked for again with more steps goes on where it ended, where its length decided nothing it learned."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from train.options.recipe import BESIDE, Recipe, recipe_values
from train.run.run_record import RUN, STATE, read_run

LENGTH = ("steps", "epochs")
OPEN = (None, "auto")
"""Values that are decided for the device when a run begins."""


@dataclass(frozen=True, slots=True)
class Extension:
    """A finished run of `steps` steps that is asked for with more. `why_not` says what keeps it from going on, "" for nothing;
    `before` are its settings."""

    steps: int
    before: Mapping[str, Any]
    why_not: str


def extension(folder: Path, recipe: Recipe, total: int) -> Extension | None:
    """What a run in a folder would be extended from; None where none ended there that differs in its length alone.

    Args:
        total: the steps that are asked for.
    """
    if not ((folder / RUN).is_file() and (folder / STATE).is_file()):
        return None
    document = read_run(folder / RUN)
    steps, before = int(document["steps"]), {key: row["value"] for key, row in document["settings"].items()}
    now = json.loads(json.dumps(recipe_values(recipe)))
    compared = [key for key in now if key not in BESIDE and key not in LENGTH and now[key] not in OPEN]
    ended = document["result"].get("steps") == steps
    if not ended or total <= steps or any(before.get(key) != now[key] for key in compared):
        return None
    return Extension(steps, before, _why_not(recipe, steps))


def _why_not(recipe: Recipe, steps: int) -> str:
    """What of a run's first steps depends on how many there are."""
    accumulated = recipe.batches.gradient_accumulation_steps
    if recipe.scheduler not in ("constant", "constant_with_warmup"):
        return (
            f"the {recipe.scheduler} scheduler spreads the learning rate over the whole run; a constant one can go on"
        )
    if recipe.schedule.warmup_share or recipe.captions.tag_warmup_share:
        name = "warmup_share" if recipe.schedule.warmup_share else "tag_warmup_share"
        return f"{name} is a share of the whole run; give {name.replace('share', 'steps')}"
    if accumulated != 1 and (not accumulated or recipe.batches.accumulation_window == "epoch" or steps % accumulated):
        return "its last update had fewer batches than the others"
    return ""


def extend(folder: Path, found: Extension, then: str, now: str) -> None:
    """Let the state of a finished run be that of the longer one, if it is of its end.

    Args:
        then: digest of the state of the finished run (`Job.state_digest`).
        now: that of the longer one.
    """
    from train.run.resume_state import load_state, save_state

    state = None if found.why_not else load_state(folder / STATE, then)
    if state is not None and state.step == found.steps:
        save_state(folder / STATE, state, now)
