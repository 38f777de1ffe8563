"""Painted images, and sets made from them, for the tests beside this file."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from pipeline.stages import flatten
from pipeline.store.manifest import Manifest
from pipeline.store.running.apply import Outcome
from pipeline.store.running.runner import run_stage
from train.miniature.painter import paint
from train.miniature.scenes import CHARACTERS, random_scene


def quiet(what: str, done: int, total: int) -> None:
    """Progress that nobody watches."""


def painted(seed: int, scale: float = 1.0) -> Image.Image:
    """A painted character, another one for every seed."""
    names = sorted(CHARACTERS)
    scene = random_scene(np.random.default_rng(seed))
    return paint(replace(scene, girls=(CHARACTERS[names[seed % len(names)]],)), scale)


def save(image: Image.Image, path: Path) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    image.save(path)
    return path


def flatten_options(*sources: Path | str, **options: Any) -> flatten.Options:
    return flatten.Options(sources=tuple(str(source) for source in sources), **options)


def run_flatten(manifest: Manifest, *sources: Path | str, **options: Any) -> Outcome:
    return run_stage(manifest, flatten.STAGE, flatten_options(*sources, **options), quiet)
