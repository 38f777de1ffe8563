"""What is wrong with a recipe: values out of range, options that exclude each other or would do nothing. Each component
says what it knows of its own; what two components know together is said here. All of it is said at once."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import fields, is_dataclass
from typing import TYPE_CHECKING

from pipeline.config.rules import Problem, idle, out_of_range
from train.adapters.option_rules import algorithm_conflicts
from train.adapters.registry import ALGORITHMS
from train.optimization.optimizers import no_rate
from train.optimization.schedules import DECAYING

if TYPE_CHECKING:
    from train.options.recipe import Recipe


def problems(recipe: Recipe) -> Iterator[Problem]:
    """(what is wrong and why, what to type) of everything that cannot be."""
    components = [part for part in (getattr(recipe, item.name) for item in fields(recipe)) if is_dataclass(part)]
    for component in components:
        yield from out_of_range(component)
    for component in components:
        yield from idle(component, {"scheduler": recipe.scheduler} if component is recipe.schedule else None)
        if hasattr(component, "problems"):
            yield from component.problems()
    yield from _text_encoder(recipe)
    yield from _rates(recipe)
    yield from _beside_the_run(recipe)
    yield from algorithm_conflicts(recipe.adapter)
    yield from _blocks(recipe)


def _text_encoder(recipe: Recipe) -> Iterator[Problem]:
    for name in ("text_encoder_lr", "text_encoder_2_lr"):
        rate = getattr(recipe.optimizer, name)
        if rate and not recipe.adapter.train_text_encoder:
            yield (
                f"{name} is {rate}, but the text encoder is not trained",
                f"leave {name} out, or use train_text_encoder = true",
            )


def _rates(recipe: Recipe) -> Iterator[Problem]:
    """Rates and schedules that do not suit the optimizer."""
    optimizer = recipe.optimizer
    missing = no_rate(optimizer.optimizer, recipe.adapter.algorithm, ALGORITHMS[recipe.adapter.algorithm].learning_rate)
    if optimizer.unet_lr is None and missing:
        yield missing
    elif recipe.lrs[0] == 0 and not recipe.trains_text_encoder:
        text = "text_encoder_lr too" if recipe.adapter.train_text_encoder else "the text encoder is not trained"
        yield (
            f"unet_lr is 0, and {text}: nothing would be trained",
            "give unet_lr, or train_text_encoder = true and a rate",
        )
    if optimizer.averaging and recipe.scheduler in DECAYING:
        yield (
            f"scheduler is {recipe.scheduler!r}, but {optimizer.optimizer} averages its weights, which stands for the "
            "decay",
            'leave scheduler out, or use "constant_with_warmup"',
        )
    if optimizer.averaging and recipe.adapter.scale_weight_norms:
        yield (
            f"scale_weight_norms would scale only one of the two sequences of weights that {optimizer.optimizer} keeps",
            "leave scale_weight_norms out, or use another optimizer",
        )


def _beside_the_run(recipe: Recipe) -> Iterator[Problem]:
    """What is asked for at points that the run does not reach."""
    saves = recipe.saving.save_every_steps or recipe.saving.save_every_epochs
    validation, captions, batches = recipe.validation, recipe.captions, recipe.batches
    if validation.patience and validation.validation != "none" and not (validation.validation_every or saves):
        yield (
            f"patience is {validation.patience}, but the loss is measured at start and end only",
            "set validation_every = 100, or save_every_epochs = 1",
        )
    if batches.steps is not None and captions.tag_warmup_steps >= batches.steps:
        yield (
            f"tag_warmup_steps is {captions.tag_warmup_steps}, but the run ends after {batches.steps}: the last tags "
            "would never be shown",
            "give fewer, or a share of the run such as tag_warmup_share = 0.3",
        )
    if batches.steps is None and captions.caption_dropout_epochs > batches.epochs:
        yield (
            f"caption_dropout_epochs is {captions.caption_dropout_epochs}, but the run has {batches.epochs} epochs",
            "give a smaller number, or more epochs",
        )


def _blocks(recipe: Recipe) -> Iterator[Problem]:
    if recipe.optimizer.adaptive and set(recipe.adapter.blocks.values()) - {0.0, 1.0}:
        yield (
            f"blocks gives shares of the learning rate, but {recipe.optimizer.optimizer} finds one rate for all weights",
            "give 0 or 1 only, or use another optimizer",
        )
