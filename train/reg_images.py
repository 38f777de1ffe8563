"""Regularization images that the base model makes: sampled in batches, each kept as soon as it is made, with a mark of all that
made it, by which one that is there is found fresh or stale."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from pipeline.concepts.regularization.files import read_mark, save_generated
from pipeline.core.files import file_digest
from pipeline.store.values.regularization import RegularizationImage
from train.models.base import BaseModel
from train.models.load import base_of
from train.models.loading.vocabulary import FILES, vocabulary_folder
from train.models.options import ModelOptions, PrecisionOptions
from train.models.precision import keeping_of
from train.models.sampling.generate import Request, Sampling, generate
from train.plan.fit_generation import decide_generation
from train.plan.memory import largest

if TYPE_CHECKING:
    from PIL.Image import Image

ProgressCallback = Callable[[str, int, int], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Making:
    """How regularization images are sampled: by which model, where, and as what."""

    model: ModelOptions
    precision: PrecisionOptions
    device: str
    batch_size: int | None
    sampling: Sampling
    negative: str = ""


@dataclass(frozen=True, slots=True)
class Made:
    """How many were sampled, and what a person should know."""

    images: int
    warnings: tuple[str, ...]


def make_reg_images(
    root: Path, rows: Sequence[RegularizationImage], making: Making, progress: ProgressCallback
) -> Made:
    """Sample those of a set that are not there yet or were made otherwise.

    Raises:
        PrepError: the base model cannot be had, or a file cannot be written; what is made by then is kept.
    """
    size = largest(row.size for row in rows)
    chosen = decide_generation(making.precision, making.model, making.device, size, making.batch_size)
    base = base_of(making.model, making.device, keeping_of(chosen.options))
    marks = _marks(making, rows, base)
    todo = [index for index, row in enumerate(rows) if read_mark(root / row.path) != marks[index]]
    done, blank = 0, list[str]()

    def keep(index: int, image: Image) -> None:
        nonlocal done
        pixels = np.asarray(image)
        if (pixels == pixels[0, 0]).all():
            blank.append(rows[todo[index]].path)
        save_generated(root / rows[todo[index]].path, image, marks[todo[index]])
        done += 1
        progress("sampling regularization images", done, len(todo))

    requests = [
        Request(row.caption, row.seed, row.size, making.negative)
        for row in (rows[index] for index in todo)
        if row.seed is not None
    ]
    generate(base, requests, making.sampling, chosen.batch_size, keep)
    told = [chosen.told] if chosen.told and todo else []
    if blank:
        told.append(
            f"regularization images of a single colour: {len(blank)}, such as {blank[0]}; the base model or its VAE fails at "
            "them: look at them, and try --mixed-precision no or another --vae"
        )
    return Made(len(todo), (*base.warnings, *told))


def _marks(making: Making, rows: Sequence[RegularizationImage], base: BaseModel) -> list[str]:
    """Everything each regularization image depends on, written into its PNG, so that a stale one is recognised; what
    is left to the base model is read from its files."""
    model, sampling = making.model, making.sampling
    common: dict[str, Any] = {
        "negative": making.negative,
        "sampler": "DDIM",
        "steps": sampling.steps,
        "guidance": sampling.guidance,
        "clip_skip": sampling.clip_skip,
        "base": base.digest,
    }
    if model.prediction != "auto":
        common["prediction"] = model.prediction
    if model.tokenizer is not None:
        vocabulary = vocabulary_folder(base.folder, model.tokenizer)
        common["tokenizer"] = [file_digest(vocabulary / name) for name in FILES]
    return [
        json.dumps(
            common | {"prompt": row.caption, "seed": row.seed, "size": list(row.size)},
            sort_keys=True,
            ensure_ascii=True,
        )
        for row in rows
    ]
