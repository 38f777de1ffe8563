"""How much disk a run takes, so that one that would fill it is refused before it begins."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING

from train.adapters.names.client_keys import TARGETS
from train.adapters.option_rules import adapter_config
from train.adapters.registry import ALGORITHMS

if TYPE_CHECKING:
    from train.models.shapes import BaseShapes
    from train.options.recipe import Recipe
    from train.plan.latents import PlannedLatents
    from train.plan.planned import PlannedRun

STORED = 12
"""Bytes in a saved state for each number that is trained: itself and AdamW's two moments."""


def latent_bytes(sizes: Iterable[tuple[int, int]], factor: int = 8, channels: int = 4) -> int:
    """Bytes of cached latents of images of these (width, height): mean and spread in float32."""
    return sum(2 * 4 * channels * (width // factor) * (height // factor) for width, height in sizes)


def grows(options: Recipe) -> str:
    """What is to be said of the file's size where the programs it is for need layers rewritten, which makes it larger."""
    algorithm, config = ALGORITHMS[options.adapter.algorithm], adapter_config(options.adapter)
    rewritten = any(algorithm.rewritten_for(client, config) for client in TARGETS.get(options.saving.export_for, ()))
    return f' as trained; rewritten for export_for = "{options.saving.export_for}" it is larger' if rewritten else ""


def space_needed(recipe: Recipe, trained: int, steps: int, epochs: int) -> int:
    """Bytes that the adapter, its snapshots and the training state take at the most; the state twice, as one is whole while
    the next is written.

    Args:
        trained: parameters of the adapter.
        steps: of the whole run.
        epochs: the same in epochs.
    """
    saving = recipe.saving
    by_steps = steps // saving.save_every_steps if saving.save_every_steps else 0
    by_epochs = epochs // saving.save_every_epochs if saving.save_every_epochs else 0
    snapshots = min(by_steps + by_epochs, saving.keep_last + 1 if saving.keep_last else steps)
    file = trained * (4 if saving.save_precision == "fp32" else 2)
    return file * (snapshots + 2) + 2 * STORED * trained


def planned_space(run: PlannedRun, latents: PlannedLatents, recipe: Recipe, base: BaseShapes | None) -> int:
    """Bytes that a run will write at the most, as far as the base model's shapes are known: latents that are not cached,
    adapter, snapshots, state, and the merged model."""
    from train.adapters.count.planned import planned_figures
    from train.models.shapes import parameter_count
    from train.options.recipe import trained_config

    factor, channels = (base.factor, base.latent_channels) if base else (8, 4)
    written = latent_bytes(latents.missing, factor, channels)
    if base is None:
        return written
    trained = sum(part.parameters for part in planned_figures(base, trained_config(recipe)))
    whole = sum(map(parameter_count, (base.unet, base.text, base.vae)))
    merged = 2 * whole if recipe.saving.save_checkpoint else 0
    return written + space_needed(recipe, trained, run.schedule.steps, run.schedule.epochs) + merged


def space_words(root: Path, needed: int) -> str:
    """What is to be written and what is free, for the plan."""
    from pipeline.core.disk_space import free_bytes
    from pipeline.core.humanize import in_words

    return (
        f"room: up to {in_words(needed)} will be written, {in_words(free_bytes(root))} are free on the disk of {root}"
    )


def full_disk_notes(root: Path, needed: int) -> tuple[str, ...]:
    """That the run would be refused for want of room."""
    from pipeline.core.disk_space import free_bytes

    if needed <= free_bytes(root):
        return ()
    return (
        f"training cannot begin: {space_words(root, needed).removeprefix('room: ')}; make room, or write less: fewer "
        "snapshots, keep_last, a smaller rank, save_checkpoint off",
    )
