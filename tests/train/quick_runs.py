"""Runs of a few steps on the miniature, and what they leave behind, for the tests of training."""

import json
from pathlib import Path

import torch
from safetensors import safe_open

from pipeline.store.manifest import Manifest
from train.options.recipe import Recipe

QUICK = {
    "base": "miniature",
    "rank": 2,
    "alpha": 2.0,
    "conv_rank": 2,
    "conv_alpha": 2.0,
    "batch_size": 2,
    "steps": 5,
    "unet_lr": 1e-2,
    "save_state_every": 2,
    "save_precision": "fp32",
    "validation_times": 1,
    "device": "cpu",
}


def quiet(what: str, done: int, total: int) -> None:
    pass


def weights(file: Path) -> dict[str, torch.Tensor]:
    with safe_open(file, framework="pt") as opened:
        return {key: opened.get_tensor(key) for key in opened.keys()}  # noqa: SIM118


def metadata_of(file: Path) -> dict[str, str]:
    with safe_open(file, framework="pt") as opened:
        return opened.metadata()


def log_of(manifest: Manifest) -> list[dict[str, float]]:
    return [
        json.loads(line) for line in (manifest.root / "runs/adapter/log.jsonl").read_text(encoding="utf-8").splitlines()
    ]


def run_digest(manifest: Manifest, recipe: Recipe) -> str:
    with safe_open(manifest.root / "runs" / recipe.run.name / "state.safetensors", framework="pt") as opened:
        return opened.metadata()["digest"]


def forget_run(manifest: Manifest, name: str) -> None:
    for file in (manifest.root / "runs" / name).glob("*"):
        file.unlink()


class Killed(BaseException):
    """Stands for Ctrl-C or a crash in the middle of a step."""
