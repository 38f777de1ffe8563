"""What a person should know before training: images that are never or seldom shown, rates that are known to harm."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from train.plan.planned import MOST_NAMED, PlannedRun

if TYPE_CHECKING:
    from train.models.shapes import BaseShapes
    from train.options.recipe import Recipe

USUAL_TEXT_RATE = 1e-4
"""The highest learning rate that guides for SD 1.x give its text encoder: 1e-5 to 5e-5 in "Stable Diffusion LoRA training
science and notes" (rentry), 1e-4 in "Tutorial: Lycoris/LoCon Training using Kohya_SS" (Civitai)."""
SD1_TEXT_WIDTH = 768


def readiness_notes(run: PlannedRun) -> tuple[str, ...]:
    """Why the run would refuse to begin, as it would say it."""
    if run.problem is None:
        return ()
    return (f"training cannot begin: {run.problem.message}; {run.problem.hint}",)


def exposure_notes(root: Path, run: PlannedRun, options: Recipe) -> tuple[str, ...]:
    """Images that are never shown or have no regularization image, and batches that stay partial."""
    schedule, size, warnings = run.schedule, options.batches.batch_size, []
    without = sum(not example.reg_images for example in run.training)
    if 0 < without < len(run.training):
        warnings.append(f"{without} images have no regularization image; make them with: prep regularize {root}")
    never = np.flatnonzero(schedule.exposures == 0)
    if never.size:
        warnings.append(
            f"{never.size} of {len(run.training)} images are never shown in {schedule.steps} steps, such as "
            f"{run.training[int(never[0])].entry.key}; the first epoch alone has {schedule.epoch_steps}"
        )
    exposures: dict[tuple[int, int], float] = {}
    for example in run.training:
        exposures[example.entry.bucket] = exposures.get(example.entry.bucket, 0.0) + example.entry.repeats
    partial = sorted((count, bucket) for bucket, count in exposures.items() if count < size)
    if partial and len(exposures) > 1:
        named = ", ".join(f"{width}×{height} ({count:.3g})" for count, (width, height) in partial[:MOST_NAMED])
        warnings.append(
            f"{len(partial)} of {len(exposures)} bucket resolutions have fewer exposures an epoch than a batch of {size}: "
            f"{named}{' …' if len(partial) > MOST_NAMED else ''}; no image is left out, but their batches stay partial"
        )
    return tuple(warnings)


def text_rate_notes(options: Recipe, base: BaseShapes | None) -> tuple[str, ...]:
    """Rates at which text encoders are known to suffer."""
    from train.optimization.optimizers import KINDS

    if not options.adapter.train_text_encoder or KINDS[options.optimizer.optimizer].adaptive:
        return ()
    unet, text = options.lrs
    warnings = []
    if text > USUAL_TEXT_RATE:
        warnings.append(
            f"the text encoder is trained at {text:g}; guides for SD 1.x give it 1e-5 to 1e-4, above that it forgets "
            "what words mean: lower text_encoder_lr"
        )
    elif text > unet:
        warnings.append(
            f"the text encoder is trained at {text:g}, faster than the UNet at {unet:g}; it is usual to do less"
        )
    if base and base.text_width > SD1_TEXT_WIDTH and options.optimizer.text_encoder_lr is None:
        warnings.append(
            f"the text encoder is trained at {text:g}, which comes from SD 1.x, but this base model has a larger one: "
            "give a text_encoder_lr of its own"
        )
    return tuple(warnings)
