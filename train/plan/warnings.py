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
FAR_ABOVE = 20
"""Times the rate that suits at which a rate is told; published recipes go up to ten times."""
FEW_UPDATES = 50


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

    if not options.trains_text_encoder or KINDS[options.optimizer.optimizer].adaptive:
        return ()
    unet, text = options.lrs
    warnings = []
    if text > USUAL_TEXT_RATE:
        warnings.append(
            f"the text encoder is trained at {text:g}; guides for SD 1.x give it 1e-5 to 1e-4, above that it forgets "
            "what words mean: lower text_encoder_lr"
        )
    elif text > unet > 0:
        warnings.append(
            f"the text encoder is trained at {text:g}, faster than the UNet at {unet:g}; it is usual to do less"
        )
    if base and base.text_width > SD1_TEXT_WIDTH and options.optimizer.text_encoder_lr is None:
        warnings.append(
            f"the text encoder is trained at {text:g}, which comes from SD 1.x, but this base model has a larger one: "
            "give a text_encoder_lr of its own"
        )
    return tuple(warnings)


def settings_notes(options: Recipe, base: BaseShapes | None) -> tuple[str, ...]:
    """Settings that can be, and seldom are meant, with what they come to."""
    from train.adapters.count.planned import wider_than_layers
    from train.adapters.registry import ALGORITHMS
    from train.optimization.optimizers import KINDS, suited_rate
    from train.options.recipe import trained_config

    adapter, algorithm, optimizer = options.adapter, ALGORITHMS[options.adapter.algorithm], options.optimizer.optimizer
    unet, found = options.lrs[0], []
    usual = suited_rate(optimizer, algorithm.learning_rate)
    if usual and unet > FAR_ABOVE * usual and not KINDS[optimizer].adaptive:
        found.append(
            f"unet_lr is {unet:g}, {unet / usual:.0f} times what suits {adapter.algorithm} with {optimizer} ({usual:g}): at such "
            "rates images turn to noise or the loss to nan; leave unet_lr out, or give a lower one"
        )
    for alpha, rank in (("alpha", "rank"), ("conv_alpha", "conv_rank")):
        high, size = getattr(adapter, alpha), getattr(adapter, rank)
        if alpha in algorithm.takes and high > size and (rank == "rank" or trained_config(options).convolutions):
            found.append(
                f"{alpha} is {high:g}, above {rank} {size}: the change is scaled by {high / size:.3g}, which acts as a "
                f"learning rate that much higher; half of {rank} is usual, {rank} itself the most"
            )
    if base is not None:
        layers, width = wider_than_layers(base, trained_config(options))
        if layers:
            found.append(
                f"the rank is above the width of {layers} layers, the narrowest {width}: a change of theirs has no rank above "
                "that, so the file grows and nothing more is learned; give a smaller rank, or block_ranks"
            )
    return tuple(found)


def few_updates_info(updates: int) -> tuple[str, ...]:
    """That a run is too short to learn much."""
    if updates >= FEW_UPDATES:
        return ()
    return (
        f"the weights are updated {updates} times in all, and adapters take some hundreds to thousands: this one will hardly "
        "differ from the base model; give more epochs or steps, or fewer gradient_accumulation_steps",
    )
