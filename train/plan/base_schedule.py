"""What a base model's files say of its prediction and noise schedule, read without loading it, and what that means for a run."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from pipeline.core.errors import PrepError
from train.models.loading.detect import declared, one_prediction
from train.models.loading.safetensors_header import read_header
from train.models.locate import find_folder
from train.optimization.options import noise_conflicts, schedule_notes

if TYPE_CHECKING:
    from train.models.options import ModelOptions
    from train.options.recipe import Recipe

SCHEDULER = "scheduler/scheduler_config.json"


@dataclass(frozen=True, slots=True)
class SaidOfNoise:
    """`prediction` is epsilon, v_prediction, or "" where the files do not say it and the loaded UNet will show it."""

    prediction: str
    zero_terminal: bool


def said_of_noise(model: ModelOptions) -> SaidOfNoise | None:
    """What the files say, with the prediction that the person gives before theirs; None where they are not here or cannot be
    read, which loading them tells."""
    try:
        place = find_folder(model.base, model.revision, download=False)
        found = _of_file(place, model.prediction != "auto") if place.is_file() else _of_folder(place)
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError, PrepError):
        return None
    return found if model.prediction == "auto" else SaidOfNoise(model.prediction, found.zero_terminal)


def _of_file(file: Path, asked: bool) -> SaidOfNoise:
    header = read_header(file)
    said = declared(file, header.shapes, header.metadata)
    return SaidOfNoise(one_prediction(file, said, asked) or "", said.zero_terminal)


def _of_folder(folder: Path) -> SaidOfNoise:
    config = json.loads((folder / SCHEDULER).read_text(encoding="utf-8"))
    betas = config.get("trained_betas") or [0]
    return SaidOfNoise(
        str(config.get("prediction_type", "epsilon")), config.get("rescale_betas_zero_snr") is True or betas[-1] == 1
    )


def noise_notes(recipe: Recipe, said: SaidOfNoise | None) -> tuple[str, ...]:
    """What a person should know of the base model's schedule before training, and what the run would be refused for."""
    if said is None:
        return ()
    zero_terminal = said.zero_terminal or recipe.noise.zero_terminal_snr
    refused = [f"training cannot begin: {what}; {hint}" for what, hint in noise_conflicts(recipe.noise, zero_terminal)]
    if zero_terminal and said.prediction == "epsilon":
        refused.append(
            "training cannot begin: the noise schedule ends in pure noise, but the base model predicts epsilon, which is then "
            "its input; leave zero_terminal_snr out, or mend the base model's scheduler_config.json"
        )
    return (*refused, *schedule_notes(recipe.objective, recipe.noise, said.prediction, said.zero_terminal))
