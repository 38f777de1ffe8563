"""What a person should know before training: images that are never or seldom shown, rates that are known to harm."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from pipeline.store.manifest import Manifest
from train.plan.images import MOST_NAMED, TrainedImages

if TYPE_CHECKING:
    from train.models.shapes import BaseShapes
    from train.options.recipe import Recipe
    from train.plan.steps import TrainingSchedule

USUAL_TEXT_RATE = 1e-4
"""The highest learning rate that guides for SD 1.x give its text encoder: 1e-5 to 5e-5 in "Stable Diffusion LoRA training
science and notes" (rentry), 1e-4 in "Tutorial: Lycoris/LoCon Training using Kohya_SS" (Civitai)."""
SD1_TEXT_WIDTH = 768


def showing_notes(manifest: Manifest, found: TrainedImages, run: TrainingSchedule, options: Recipe) -> tuple[str, ...]:
    notes = []
    if 0 < len(found.reg_images) < len(found.kept):
        notes.append(
            f"{len(found.kept) - len(found.reg_images)} images have no regularization image; make them with: "
            f"prep regularize {manifest.root}"
        )
    never = np.flatnonzero(run.shown == 0)
    if never.size:
        notes.append(
            f"{never.size} of {len(found.kept)} images are never shown in {run.steps} steps, such as "
            f"{found.kept[int(never[0])].path}; the first epoch alone has {run.epoch_steps}"
        )
    shown: dict[tuple[int, int], float] = {}
    for bucket, repeats in zip(found.buckets, found.repeats, strict=True):
        shown[bucket.size] = shown.get(bucket.size, 0.0) + repeats
    runts = sorted((count, size) for size, count in shown.items() if count < options.batches.batch_size)
    if runts and len(shown) > 1:
        named = ", ".join(f"{width}×{height} ({count:.3g})" for count, (width, height) in runts[:MOST_NAMED])
        notes.append(
            f"{len(runts)} of {len(shown)} sizes have fewer exposures an epoch than a batch of {options.batches.batch_size}: "
            f"{named}{' …' if len(runts) > MOST_NAMED else ''}; nothing of them is left out, but their batches stay short"
        )
    return tuple(notes)


def text_rate_notes(options: Recipe, base: BaseShapes | None) -> tuple[str, ...]:
    """Rates at which text encoders are known to suffer."""
    from train.optimization.optimizers import KINDS

    if not options.adapter.train_text_encoder or KINDS[options.optimizer.optimizer].adaptive:
        return ()
    unet, text = options.rates
    notes = []
    if text > USUAL_TEXT_RATE:
        notes.append(
            f"the text encoder is trained at {text:g}; guides for SD 1.x give it 1e-5 to 1e-4, above that it forgets "
            "what words mean: lower text_encoder_lr"
        )
    elif text > unet:
        notes.append(
            f"the text encoder is trained at {text:g}, faster than the UNet at {unet:g}; it is usual to do less"
        )
    if base and base.text_width > SD1_TEXT_WIDTH and options.optimizer.text_encoder_lr is None:
        notes.append(
            f"the text encoder is trained at {text:g}, which comes from SD 1.x, but this base model has a larger one: "
            "give a text_encoder_lr of its own"
        )
    return tuple(notes)
