"""Options of a training run that exclude each other, or would do nothing: said before the run, with the reason."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from train.adapters.option_rules import algorithm_conflicts
from train.optimization.optimizers import KINDS, no_rate
from train.optimization.schedules import DECAYING

if TYPE_CHECKING:
    from train.options.recipe import Recipe

LEAST_FACTOR = 0.01
"""An adaptive optimizer multiplies its rate with unet_lr; one below this was meant for another optimizer."""
NEEDS = (
    ("min_snr_gamma", "weighting", ("min-snr",)),
    ("huber_c", "loss", ("huber", "smooth_l1")),
    ("huber_schedule", "loss", ("huber", "smooth_l1")),
    ("num_cycles", "schedule", ("cosine_with_restarts",)),
    ("power", "schedule", ("polynomial",)),
    ("min_lr_ratio", "schedule", DECAYING),
    ("validation_share", "validation", ("auto", "held-out")),
    *(
        (f"validation_{name}", "validation", ("auto", "held-out", "training"))
        for name in ("images", "times", "noises", "every")
    ),
)
"""(option, option it belongs to, values of that one with which it does anything)."""


def conflicts(recipe: Recipe) -> Iterator[tuple[str, str]]:
    """(what is wrong and why, what to type) of every combination that cannot be."""
    yield from _idle(recipe)
    yield from _of_noise(recipe)
    yield from _of_rates(recipe)
    yield from _of_looks(recipe)
    yield from _of_views(recipe)
    yield from algorithm_conflicts(recipe)


def _idle(recipe: Recipe) -> Iterator[tuple[str, str]]:
    for field, owner, uses in NEEDS:
        value = getattr(recipe, field)
        if value != type(recipe).__dataclass_fields__[field].default and getattr(recipe, owner) not in uses:
            name = "scheduler" if owner == "schedule" else owner
            yield (
                f"{field} is {value!r}, but does nothing with {name} = {getattr(recipe, owner)!r}",
                f"leave {field} out, or use {name} = " + " or ".join(f'"{use}"' for use in uses),
            )
    for field in ("text_encoder_lr", "text_encoder_2_lr"):
        if getattr(recipe, field) is not None and not recipe.train_text_encoder:
            yield (
                f"{field} is {getattr(recipe, field)}, but the text encoder is not trained",
                f"leave {field} out, or use train_text_encoder = true",
            )


def _of_looks(recipe: Recipe) -> Iterator[tuple[str, str]]:
    looking = recipe.validation_every or recipe.save_every_steps or recipe.save_every_epochs
    if recipe.patience and recipe.validation == "none":
        yield (
            f"patience is {recipe.patience}, but validation is 'none': no loss is looked at that could stop falling",
            'leave patience out, or use validation = "auto"',
        )
    elif recipe.patience and not looking:
        yield (
            f"patience is {recipe.patience}, but the loss is looked at at start and end only",
            "set validation_every = 100, or save_every_epochs = 1",
        )
    if recipe.keep_last and not (recipe.save_every_steps or recipe.save_every_epochs):
        yield f"keep_last is {recipe.keep_last}, but no snapshots are saved", "set save_every_epochs = 1"
    often = recipe.sample_every_steps or recipe.sample_every_epochs
    if often and not (recipe.sample_prompts or recipe.sample_file):
        name = "sample_every_steps" if recipe.sample_every_steps else "sample_every_epochs"
        yield f"{name} is {often}, but there is nothing to paint", "give sample_prompts or sample_file"


def _of_views(recipe: Recipe) -> Iterator[tuple[str, str]]:
    if recipe.random_crop and recipe.face_crop:
        yield (
            "random_crop and face_crop both place the crop: one anywhere, the other about the subject",
            "leave one of them out",
        )
    if recipe.variants != 4 and not (recipe.color_jitter or recipe.random_crop or recipe.face_crop):
        yield (
            f"variants is {recipe.variants}, but nothing varies the images",
            "leave variants out, or use color_jitter, random_crop or face_crop",
        )
    if recipe.flip_guard != ("left", "right") and not recipe.flip:
        yield (
            f"flip_guard is {list(recipe.flip_guard)}, but nothing is mirrored",
            "leave flip_guard out, or use flip = true",
        )
    if recipe.flip and any(not any(map(str.isalnum, word)) for word in recipe.flip_guard):
        yield (
            f"flip_guard is {list(recipe.flip_guard)}, but holds a word without letters",
            "give words, or [] to mirror all",
        )


def _of_noise(recipe: Recipe) -> Iterator[tuple[str, str]]:
    if not recipe.noise_offset and (recipe.adaptive_noise_scale or recipe.noise_offset_random):
        field = "adaptive_noise_scale" if recipe.adaptive_noise_scale else "noise_offset_random"
        yield f"{field} is {getattr(recipe, field)!r}, but changes noise_offset, which is 0", "set noise_offset = 0.05"
    if recipe.multires_discount != 0.3 and not recipe.multires_iterations:
        yield (
            f"multires_discount is {recipe.multires_discount}, but does nothing while multires_iterations is 0",
            "set multires_iterations = 6",
        )
    if recipe.noise_offset and recipe.multires_iterations:
        yield (
            "noise_offset and multires_iterations both strengthen the noise's low frequencies; together they overdo it",
            "leave one of them out",
        )
    if recipe.zero_terminal_snr and (recipe.noise_offset or recipe.multires_iterations):
        field = "noise_offset" if recipe.noise_offset else "multires_iterations"
        yield (
            f"{field} and zero_terminal_snr mend the same fault, and a sampler starts from plain noise, which {field} "
            "would keep from the last timestep",
            f"leave out {field}, or zero_terminal_snr",
        )


def _of_rates(recipe: Recipe) -> Iterator[tuple[str, str]]:
    kind = KINDS[recipe.optimizer]
    if recipe.warmup_steps and recipe.warmup_share:
        yield (
            f"warmup_steps is {recipe.warmup_steps} and warmup_share {recipe.warmup_share}: both say how long",
            "give one",
        )
    if (recipe.warmup_steps or recipe.warmup_share) and recipe.scheduler == "constant":
        field = "warmup_steps" if recipe.warmup_steps else "warmup_share"
        yield (
            f"{field} is {getattr(recipe, field)}, but the constant scheduler has no warm-up",
            'use scheduler = "constant_with_warmup"',
        )
    missing = no_rate(recipe.optimizer, recipe.algorithm)
    if recipe.unet_lr is None and missing:
        yield missing
    if kind.averaging and recipe.schedule in DECAYING:
        yield (
            f"scheduler is {recipe.schedule!r}, but {recipe.optimizer} averages its weights, which stands for the decay",
            'leave scheduler out, or use "constant_with_warmup"',
        )
    if kind.averaging and recipe.scale_weight_norms:
        yield (
            f"scale_weight_norms would scale only one of the two sequences of weights that {recipe.optimizer} keeps",
            "leave scale_weight_norms out, or use another optimizer",
        )
    if kind.adaptive:
        yield from _of_adaptive(recipe)


def _of_adaptive(recipe: Recipe) -> Iterator[tuple[str, str]]:
    if recipe.unet_lr is not None and recipe.unet_lr < LEAST_FACTOR:
        yield (
            f"unet_lr is {recipe.unet_lr}, but {recipe.optimizer} finds its rate by itself and multiplies it "
            "with this one",
            "leave unet_lr out, which is 1, or give 0.1 to 2",
        )
    for field in ("text_encoder_lr", "text_encoder_2_lr"):
        if getattr(recipe, field) not in (None, recipe.unet_lr or 1.0):
            yield (
                f"{field} is {getattr(recipe, field)}, but {recipe.optimizer} finds one rate for all weights",
                f"leave {field} out, or use another optimizer",
            )
