"""What a training run comes to, in figures and words: its course, what is done beside it, disk and memory."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from pipeline.core.errors import PrepError
from pipeline.core.flat import flat
from pipeline.core.humanize import counted
from pipeline.store.manifest import Manifest
from train.plan.images import TrainedImages, entries

if TYPE_CHECKING:
    from train.models.shapes import BaseShapes
    from train.options.recipe import Recipe
    from train.plan.steps import TrainingSchedule


def counts(found: TrainedImages, run: TrainingSchedule) -> dict[str, int]:
    return {
        "images": len(found.kept),
        "images_held_out": len(found.held),
        "regularization_images": found.reg_image_files,
        "exposures_an_epoch": round(sum(found.repeats)),
        "exposures_in_the_run": int(run.shown.sum()),
        "steps": run.steps,
        "full_batches": run.full,
        "partial_batches": run.short,
    }


def table(found: TrainedImages, run: TrainingSchedule) -> tuple[Mapping[str, Any], ...]:
    """One row a concept, by name."""
    concepts: dict[str, list[int]] = {}
    for place, image in enumerate(found.kept):
        concepts.setdefault(image.concept, []).append(place)
    every, total = np.array(found.repeats), int(run.shown.sum())
    return tuple(
        {
            "concept": concept,
            "images": len(places),
            "an epoch": _rounded(float(every[places].sum())),
            "in the run": int(run.shown[places].sum()),
            "share %": round(100 * int(run.shown[places].sum()) / total, 1),
            "least shown": int(run.shown[places].min()),
            "most shown": int(run.shown[places].max()),
        }
        for concept, places in sorted(concepts.items())
    )


def _rounded(exposures: float) -> float | int:
    """To a hundredth where that is more than noise."""
    return round(exposures, 2) if exposures < 100 else round(exposures)


def course_remarks(found: TrainedImages, run: TrainingSchedule, options: Recipe) -> tuple[str, ...]:
    from train.adapters.registry import ALGORITHMS

    accumulation_steps = options.batches.gradient_accumulation_steps or len({bucket.size for bucket in found.buckets})
    least, most = int(run.shown.argmin()), int(run.shown.argmax())
    share = int(run.shown.sum()) / (run.steps * options.batches.batch_size)
    part = f" and {counted(run.beyond, 'step')} of the next" if run.beyond else ""
    ranked = f" of rank {options.adapter.rank}" if "rank" in ALGORITHMS[options.adapter.algorithm].takes else ""
    return (
        f"{options.adapter.algorithm}{ranked} on {options.model.base}: {counted(run.steps, 'step')} of up to "
        f"{counted(options.batches.batch_size, 'image')}{' and their regularization images' if found.reg_images else ''}, "
        f"{counted(run.epochs, 'whole epoch')}{part}; the first epoch has "
        f"{run.epoch_steps}",
        f"updates: {-(-run.steps // accumulation_steps)}, one after every {accumulation_steps} steps"
        if accumulation_steps > 1
        else f"updates: {run.steps}",
        f"batches: {run.full} full, {run.short} short; {share:.1%} of all places are taken",
        f"shown least: {found.kept[least].path}, {run.shown[least]} times; "
        f"most: {found.kept[most].path}, {run.shown[most]} times",
    )


def preset_remarks(options: Recipe) -> Iterator[str]:
    """What a preset and a suggested rank decided, and what of the preset gave way to the person's own."""
    from train.options.presets import DIFFICULTIES, load_preset

    if options.run.preset is not None:
        now, values = flat(options), load_preset(options.run.preset).values
        kept = [f"{key} = {value}" for key, value in values.items() if now[key] == value]
        own = [f"{key} = {now[key]}" for key, value in values.items() if now[key] != value]
        yield f"preset {options.run.preset}: {', '.join(kept)}" + (
            f"; other than it has: {', '.join(own)}" if own else ""
        )
    if options.run.suggest is not None:
        subject = DIFFICULTIES[options.run.suggest].subject
        yield f"suggest {options.run.suggest}: rank {DIFFICULTIES[options.run.suggest].most}, for {subject}"


def milestone_remarks(found: TrainedImages, run: TrainingSchedule, options: Recipe) -> tuple[str, ...]:
    """How much is done beside the steps: snapshots, looks at the validation loss, paintings of the prompts."""
    from train.data.progress import START, Progress
    from train.models.prompts import asked_prompts
    from train.plan.steps import epoch_ends
    from train.run.milestones import due

    ends = epoch_ends(entries(found), options.batches.batch_size, options.run.seed, run.steps)
    places = [START]
    places += [Progress(step, epoch, step in ends, step == run.steps) for step, epoch in _steps(run.steps, ends)]
    wanted = [due(place, options.saving, options.validation, options.samples) for place in places]
    prompts = asked_prompts(options.samples.sample_prompts, options.samples.sample_file, "sample_prompts")
    looks = sum(each.evaluate for each in wanted) if found.held or found.train_subset else 0
    cells = (
        (len(found.held) + len(found.train_subset))
        * options.validation.validation_times
        * options.validation.validation_noises
    )
    parts = []
    if snapshots := sum(each.snapshot for each in wanted):
        parts.append(
            counted(snapshots, "snapshot")
            + (f", of which {options.saving.keep_last} are kept" if options.saving.keep_last else "")
        )
    if looks:
        parts.append(f"{counted(looks, 'look')} at the validation loss, each of {counted(cells, 'latent')}")
    if prompts:
        parts.append(
            f"{counted(sum(each.generate for each in wanted), 'painting')} of {counted(len(prompts), 'prompt')}"
        )
    return ("besides: " + ", ".join(parts),) if parts else ()


def _steps(steps: int, ends: Mapping[int, int]) -> Iterator[tuple[int, int]]:
    """(step, epoch it is in or ends, from 1) for every step."""
    epoch = 1
    for step in range(1, steps + 1):
        yield step, epoch
        epoch += step in ends


def view_remarks(manifest: Manifest, options: Recipe) -> tuple[str, ...]:
    from train.data.augmentation import warnings as augmentation_warnings
    from train.data.dataset import seen_images

    return augmentation_warnings(seen_images(manifest, options.dataset), options.augmentation)


def shapes_of(options: Recipe) -> tuple[BaseShapes | None, str]:
    """The shapes of the base model, else why they are not known."""
    from train.models.locate import find_folder
    from train.plan.memory import base_shapes

    try:
        folder = find_folder(options.model.base, options.model.revision, download=False)
    except PrepError as error:
        return None, f"of a base model that is not on this machine: {error.message}"
    shapes = base_shapes(folder)
    return (
        shapes,
        "" if shapes else f"{folder} is no model in diffusers format and no .safetensors file that can be read",
    )


def footprint(found: TrainedImages, options: Recipe, base: BaseShapes | None, unknown: str) -> tuple[str, ...]:
    """Disk and memory in words; what depends on the base model only where its files are there."""
    from train.adapters.count.planned import planned_figures
    from train.adapters.option_rules import adapter_config
    from train.plan.memory import STORED, grows, in_words, latent_bytes, memory_bytes

    sizes = found.latents
    factor, channels = (base.factor, base.latent_channels) if base else (8, 4)
    latents = f"disk: about {in_words(latent_bytes(sizes, factor, channels))} for {len(sizes)} cached latents"
    if base is None:
        return (latents, f"the size of the adapter and the memory it takes to train cannot be told: {unknown}")
    adapter = planned_figures(base, adapter_config(options.adapter))
    trained = sum(part.parameters for part in adapter)
    half, largest = options.precision.mixed_precision != "no", max(sizes, key=lambda size: size[0] * size[1])
    images = options.batches.batch_size * (2 if found.reg_images else 1)
    memory = memory_bytes(base, trained, images, largest, half, options.precision.gradient_checkpointing)
    file = trained * (4 if options.saving.save_precision == "fp32" else 2)
    acting = "acts with scale = alpha / rank, " if any(part.scales for part in adapter) else ""
    return (
        f"the adapter {acting}{'; '.join(map(str, adapter))}",
        f"{latents}, {in_words(STORED * trained)} for the state with AdamW, {in_words(file)} for the adapter of "
        f"{trained} numbers{grows(options)}",
        f"memory, roughly: {in_words(memory)} = the base model's weights + 16 bytes a number of the adapter + "
        f"{images} images of {largest[0]}×{largest[1]}; other optimizers take less or more than AdamW",
    )
