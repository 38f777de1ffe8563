"""What a training run comes to, in figures and words: its steps, what else is done, disk and memory."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from pipeline.core.flat import flat
from pipeline.core.humanize import counted

if TYPE_CHECKING:
    from train.models.shapes import BaseShapes
    from train.options.recipe import Recipe
    from train.plan.fit import Decided
    from train.plan.latents import PlannedLatents
    from train.plan.memory import Memory
    from train.plan.planned import PlannedRun


def counts(run: PlannedRun) -> dict[str, int]:
    schedule = run.schedule
    return {
        "images": len(run.training),
        "images_held_out": len(run.split.held_out),
        "regularization_images": run.reg_image_files,
        "exposures_an_epoch": round(sum(example.entry.repeats for example in run.training)),
        "exposures_in_the_run": int(schedule.exposures.sum()),
        "steps": schedule.steps,
        "full_batches": schedule.full,
        "partial_batches": schedule.partial,
    }


def subset_info(run: PlannedRun, options: Recipe) -> tuple[str, ...]:
    """That a person left images out of this training."""
    if not run.dataset.left_out:
        return ()
    there, batches = len(run.dataset.examples), options.batches
    asked = [
        f"{name} {', '.join(held)}" for name, held in (("only", batches.only), ("without", batches.without)) if held
    ]
    return (f"{there} of {there + run.dataset.left_out} kept images are trained on: {'; '.join(asked)}",)


def table(run: PlannedRun) -> tuple[Mapping[str, Any], ...]:
    """One row a concept, by name."""
    concepts: dict[str, list[int]] = {}
    for place, example in enumerate(run.training):
        concepts.setdefault(example.concept, []).append(place)
    repeats, exposures = np.array([example.entry.repeats for example in run.training]), run.schedule.exposures
    total = int(exposures.sum())
    return tuple(
        {
            "concept": concept,
            "images": len(places),
            "an epoch": _rounded(float(repeats[places].sum())),
            "in the run": int(exposures[places].sum()),
            "share %": round(100 * int(exposures[places].sum()) / total, 1),
            "fewest exposures": int(exposures[places].min()),
            "most exposures": int(exposures[places].max()),
        }
        for concept, places in sorted(concepts.items())
    )


def _rounded(exposures: float) -> float | int:
    """To a hundredth where that is more than noise."""
    return round(exposures, 2) if exposures < 100 else round(exposures)


def schedule_info(run: PlannedRun, options: Recipe) -> tuple[str, ...]:
    from train.adapters.registry import ALGORITHMS

    schedule, size = run.schedule, options.batches.batch_size
    windows = run.windows(options)
    updates = f"updates: {windows.all_updates}"
    closed = " and at each epoch's end" if windows.ends else ""
    least, most = int(schedule.exposures.argmin()), int(schedule.exposures.argmax())
    fill = int(schedule.exposures.sum()) / (schedule.steps * size)
    part = f" and {counted(schedule.beyond, 'step')} of the next" if schedule.beyond else ""
    ranked = f" of rank {options.adapter.rank}" if "rank" in ALGORITHMS[options.adapter.algorithm].takes else ""
    beside = " and their regularization images" if run.reg_image_files else ""
    return (
        f"{options.adapter.algorithm}{ranked} on {options.model.base}: {counted(schedule.steps, 'step')} of up to "
        f"{counted(size, 'image')}{beside}, {counted(schedule.epochs, 'whole epoch')}{part}; the first epoch has "
        f"{schedule.epoch_steps}",
        f"{updates}, one after every {windows.steps} steps{closed}" if windows.steps > 1 else updates,
        f"batches: {schedule.full} full, {schedule.partial} partial; batch fill {fill:.1%}",
        f"fewest exposures: {run.training[least].entry.key}, {schedule.exposures[least]} times; "
        f"most: {run.training[most].entry.key}, {schedule.exposures[most]} times",
    )


def preset_info(options: Recipe) -> Iterator[str]:
    """What a preset and a suggested rank decided, and what of the preset gave way to the person's own."""
    from train.options.presets import DIFFICULTIES, load_preset

    if options.run.preset is not None:
        now, values = flat(options), load_preset(options.run.preset).values
        kept = [f"{key} = {value}" for key, value in values.items() if now[key] == value]
        own = [f"{key} = {now[key]}" for key, value in values.items() if now[key] != value]
        yield f"preset {options.run.preset}: {', '.join(kept)}" + (
            f"; other than it has: {', '.join(own)}" if own else ""
        )
        if leaves := load_preset(options.run.preset).leaves:
            yield f"preset {options.run.preset} leaves to you: {'; '.join(leaves)}"
    if options.run.suggest is not None:
        subject = DIFFICULTIES[options.run.suggest].subject
        yield f"suggest {options.run.suggest}: rank {DIFFICULTIES[options.run.suggest].most}, for {subject}"


def milestone_info(run: PlannedRun, options: Recipe) -> tuple[str, ...]:
    """How much is done beside the steps: snapshots, evaluations of the validation loss, sample images."""
    from train.models.text.prompts import asked_prompts
    from train.run.milestones import milestones

    schedule = run.schedule
    wanted = list(milestones(schedule.steps, schedule.ends, options.saving, options.validation, options.samples))
    prompts = asked_prompts(options.samples.sample_prompts, options.samples.sample_file, "sample_prompts")
    measured = len(run.split.held_out) + len(run.split.train_subset)
    evaluations = sum(each.evaluate for each in wanted) if measured else 0
    cells = measured * options.validation.validation_times * options.validation.validation_noise_samples
    parts = []
    if snapshots := sum(each.snapshot for each in wanted):
        parts.append(
            counted(snapshots, "snapshot")
            + (f", of which {options.saving.keep_last} are kept" if options.saving.keep_last else "")
        )
    if evaluations:
        parts.append(f"{counted(evaluations, 'evaluation')} of the validation loss, each on {counted(cells, 'latent')}")
    if prompts:
        times = counted(sum(each.generate for each in wanted), "time")
        parts.append(f"sample images of {counted(len(prompts), 'prompt')}, {times}")
    return ("also: " + "; ".join(parts),) if parts else ()


def footprint(
    run: PlannedRun, cached: PlannedLatents, decided: Decided, base: BaseShapes | None, unknown: str
) -> tuple[str, ...]:
    """Disk and memory in words; what depends on the base model only where its files are there."""
    from pipeline.core.humanize import in_words
    from train.adapters.count.planned import planned_figures
    from train.options.recipe import trained_config
    from train.plan.fit import words
    from train.plan.space import STORED, grows, latent_bytes

    options = decided.recipe
    factor, channels = (base.factor, base.latent_channels) if base else (8, 4)
    latents = (
        f"disk: about {in_words(latent_bytes(cached.sizes, factor, channels))} for {len(cached.sizes)} cached latents"
    )
    if base is None or decided.memory is None:
        return (latents, f"the size of the adapter and the memory it takes to train are not known: {unknown}")
    adapter = planned_figures(base, trained_config(options))
    trained = sum(part.parameters for part in adapter)
    file = trained * (4 if options.saving.save_precision == "fp32" else 2)
    scaled = "has scale = alpha / rank, " if any(part.scales for part in adapter) else ""
    return (
        f"the adapter {scaled}{'; '.join(map(str, adapter))}",
        str(cached),
        f"{latents}, {in_words(STORED * trained)} for the training state with AdamW, {in_words(file)} for the adapter of "
        f"{trained} parameters{grows(options)}",
        *([unknown] if unknown else []),
        *words(decided.fit, decided.machine),
        _memory_words(decided.memory, run, cached, options),
    )


def _memory_words(memory: Memory, run: PlannedRun, cached: PlannedLatents, options: Recipe) -> str:
    from pipeline.core.humanize import in_gib
    from train.plan.memory import largest

    width, height = largest(cached.sizes)
    images = options.batches.batch_size * (2 if run.reg_image_files else 1)
    parts = ", ".join(f"{name} {in_gib(size)}" for name, size in memory.parts)
    phases = ", ".join(f"{name} {in_gib(size)}" for name, size in memory.phases)
    return (
        f"memory, roughly: {in_gib(memory.peak)}; {phases}; of training: {parts} ({images} images of {width}×{height})"
    )
