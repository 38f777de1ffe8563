"""A training run as it is decided before any model is loaded: everything a process needs to do its part of it."""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from types import MappingProxyType
from typing import Any

from pipeline.core.files import file_digest
from pipeline.store.manifest import Manifest
from train.data.dataset import Example, ready_dataset, views_to_cache
from train.evaluation.split import SplitDataset, split_dataset
from train.models.locate import find_folder
from train.models.text.prompts import Request, asked_prompts, filled_in
from train.optimization.optimizers import read_arguments
from train.options.recipe import BESIDE, Recipe, recipe_values, with_values
from train.plan.base_shapes import shapes_of
from train.plan.fit import decide
from train.run.run_record import RUN, STATE, read_run, run_folder


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """`split` is what is trained on, and what the loss is measured on.

    `requests` are sampled while it trains, with `prompt_warnings` about them; `arguments` are the optimizer's, `origins` say
    where each option came from, `versions` which programs take part; `digest` stands for all the images, `start` for the
    adapter that is gone on from.
    """

    root: Path
    recipe: Recipe
    split: SplitDataset
    requests: tuple[Request, ...]
    prompt_warnings: tuple[str, ...]
    arguments: Mapping[str, Any]
    origins: Mapping[str, str]
    versions: Mapping[str, str]
    digest: str
    start: str = ""
    resolution: int = 0
    """Side of the square that buckets have the area of, 0 where no bucket run is stored."""

    @property
    def training(self) -> tuple[Example, ...]:
        return self.split.training

    @property
    def held_out(self) -> tuple[Example, ...]:
        return self.split.held_out

    @property
    def folder(self) -> Path:
        return run_folder(self.root, self.recipe.run.name)

    def state_digest(self, base: str, other: Mapping[str, Any] = MappingProxyType({})) -> str:
        """What a training state must agree in to be resumed: all that decides what is learned.

        Args:
            other: settings in place of the recipe's own.
        """
        values = {key: value for key, value in (recipe_values(self.recipe) | {**other}).items() if key not in BESIDE}
        return hashlib.sha256(json.dumps([values, self.digest, self.start, base], sort_keys=True).encode()).hexdigest()


def planned_job(manifest: Manifest, recipe: Recipe, origins: Mapping[str, str], versions: Mapping[str, str]) -> Job:
    """Read the set, hold images out, and check the optimizer's arguments."""
    if recipe.run.tensorboard:
        from train.run.tensorboard import writer_class

        writer_class()
    arguments = read_arguments(recipe.optimizer.optimizer, recipe.optimizer.optimizer_args)
    dataset = ready_dataset(manifest, recipe.dataset)
    split = split_dataset(manifest, dataset, recipe.validation, recipe.run.seed)
    prompts = asked_prompts(recipe.samples.sample_prompts, recipe.samples.sample_file, "sample_prompts")
    requests, prompt_warnings = filled_in(prompts, commonest_size(split.training))
    return Job(
        root=manifest.root,
        recipe=recipe,
        split=split,
        requests=requests,
        prompt_warnings=prompt_warnings,
        arguments=arguments,
        origins=origins,
        versions=versions,
        digest=split.digest(),
        start=file_digest(recipe.adapter.network_weights) if recipe.adapter.network_weights else "",
        resolution=int(bucketed.options.get("resolution", 0)) if (bucketed := manifest.last_run("bucket")) else 0,
    )


def decided_job(job: Job) -> Job:
    """The job with what its recipe leaves open decided for the device; a run that goes on takes what it began with.

    Raises:
        PrepError: there is no such device.
    """
    recipe = begun_with(job.folder, job.recipe)
    find_folder(recipe.model.base, recipe.model.revision)  # downloaded, so that its shapes are known
    base, _ = shapes_of(recipe.model)
    sizes = (view.size for view in views_to_cache(job.split.every()))
    regularized = any(example.reg_images for example in job.training)
    decided = decide(recipe, base, sizes, regularized)
    origins = {**job.origins, **dict.fromkeys(decided.fit.chosen, "device")}
    return replace(job, recipe=decided.recipe, origins=origins)


def begun_with(folder: Path, recipe: Recipe) -> Recipe:
    """The recipe with the precisions that an interrupted run in a folder was begun with, where they are left open."""
    if not (folder / STATE).is_file() or not (folder / RUN).is_file():
        return recipe
    before = read_run(folder / RUN)["settings"]
    kept = {
        name: before[name]["value"]
        for name in ("mixed_precision", "weights_precision")
        if getattr(recipe.precision, name) == "auto" and name in before
    }
    return with_values(recipe, **kept) if kept else recipe


def commonest_size(examples: Sequence[Example]) -> tuple[int, int]:
    """(width, height) of the bucket with the most images, the largest of equals."""
    counts = Counter(example.entry.bucket for example in examples)
    return max(counts, key=lambda size: (counts[size], size))
