"""What of precision, storage and place is chosen for the device's memory, where the person leaves it open."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from typing import Any

from pipeline.core.errors import PrepError
from pipeline.core.humanize import in_gib
from train.adapters.count.planned import planned_figures
from train.models.options import PrecisionOptions
from train.models.shapes import BaseShapes
from train.options.recipe import Recipe, trained_config
from train.plan.base_shapes import shapes_of
from train.plan.machine import Machine, machine_of
from train.plan.memory import Load, Memory, largest, memory_of

Needed = Callable[[PrecisionOptions], int]
"""Options that are decided → the most bytes that the run has on the device."""


@dataclass(frozen=True, slots=True)
class Fit:
    """Options that are decided, the names of those that were open, what the run needs, and whether there is room for it."""

    options: PrecisionOptions
    chosen: tuple[str, ...]
    needed: int
    fits: bool


@dataclass(frozen=True, slots=True)
class Decided:
    """A recipe that leaves nothing open, and why; `memory` is None where the base model is not known."""

    recipe: Recipe
    fit: Fit
    machine: Machine
    memory: Memory | None


def fitted(options: PrecisionOptions, machine: Machine, needed: Needed | None) -> Fit:
    """Decide what is open: the best precision of the device, and of what saves memory only as much as it takes, the
    cheapest first: parts that are not at work leave the device, activations are recomputed, weights are kept in fewer bits,
    and last come to the device one layer at a time.
    What the person has given stays.

    Args:
        needed: None where the base model's shapes are not known; then nothing is saved that costs time.
    """
    tried, *more = _candidates(options, machine)
    while needed is not None and more and needed(tried) > machine.room:
        tried, *more = more
    least = 0 if needed is None else needed(tried)
    return Fit(tried, _open(options), least, needed is None or least <= machine.room)


def _open(options: PrecisionOptions) -> tuple[str, ...]:
    found = [name for name in ("mixed_precision", "weights_precision", "offload") if getattr(options, name) == "auto"]
    return (*found, "gradient_checkpointing") if options.gradient_checkpointing is None else tuple(found)


def _candidates(options: PrecisionOptions, machine: Machine) -> Iterator[PrecisionOptions]:
    """From what is fastest to what takes the least memory."""
    mixed, weights, places = choices(options, machine)
    kept = options.gradient_checkpointing
    for stored in weights:
        for checkpointing in [kept] if kept is not None else [False, True] if stored == "full" else [True]:
            for place in places:
                if stored == weights[0] or place == places[-1]:
                    yield decided(options, mixed, stored, checkpointing, place)
    if options.offload == "auto" and machine.separate:
        for stored in dict.fromkeys((weights[0], weights[-1])):
            yield decided(options, mixed, stored, kept is not False, "blocks")


def choices(options: PrecisionOptions, machine: Machine) -> tuple[str, list[str], list[str]]:
    """The precision that is computed in, what weights may be kept in and what may leave the device: as given, or what there is,
    the fastest first."""
    mixed: str = options.mixed_precision
    if mixed == "auto":
        mixed = machine.half[0] if machine.half else "no"
    weights = ["full", *(["half"] if mixed == "no" else []), *(["fp8"] if machine.float8 else [])]
    places = ["none", "parts"] if machine.separate else ["none"]
    return (
        mixed,
        weights if options.weights_precision == "auto" else [options.weights_precision],
        places if options.offload == "auto" else [options.offload],
    )


def decided(options: PrecisionOptions, mixed: str, weights: str, checkpointing: bool, offload: str) -> PrecisionOptions:
    values: dict[str, Any] = {
        "mixed_precision": mixed,
        "weights_precision": weights,
        "gradient_checkpointing": checkpointing,
        "offload": offload,
    }
    return replace(options, **values)


def words(fit: Fit, machine: Machine) -> Iterator[str]:
    """What was chosen and why."""
    if fit.chosen:
        values = ", ".join(f"{name} = {_value(getattr(fit.options, name))}" for name in fit.chosen)
        yield f"chosen for {machine.name} ({machine.told}): {values}"


def too_large(fit: Fit, machine: Machine) -> Iterator[str]:
    """The warning where nothing that is left open makes it fit."""
    if not fit.fits:
        more = [] if fit.options.gradient_checkpointing else ["gradient_checkpointing = true"]
        more += ["a smaller batch_size", "a lower resolution (prep bucket --resolution)", "a lower rank"]
        yield (
            f"the run needs about {in_gib(fit.needed)} and there is room for {in_gib(machine.room)} ({machine.told}): it "
            f"may end in out of memory; what helps: {', '.join(more)}"
        )


def decide(recipe: Recipe, base: BaseShapes | None, sizes: Iterable[tuple[int, int]], regularized: bool) -> Decided:
    """The recipe with what it leaves open decided for the device.

    Args:
        sizes: (width, height) of all that is trained on.
        regularized: whether regularization images are shown beside the images.
    """
    machine = machine_of(recipe.run.device, recipe.precision.vram)
    if base is None:
        fit = fitted(recipe.precision, machine, None)
        return Decided(replace(recipe, precision=fit.options), fit, machine, None)
    load = load_of(recipe, base, sizes, regularized)
    fit = fitted(recipe.precision, machine, lambda options: memory_of(base, options, load).peak)
    return Decided(replace(recipe, precision=fit.options), fit, machine, memory_of(base, fit.options, load))


def load_of(recipe: Recipe, base: BaseShapes, sizes: Iterable[tuple[int, int]], regularized: bool) -> Load:
    """What of a recipe decides its memory."""
    return Load(
        trained=sum(part.parameters for part in planned_figures(base, trained_config(recipe))),
        images=recipe.batches.batch_size * (2 if regularized else 1),
        size=largest(sizes),
        tokens=77 * recipe.text.max_tokens // 75,
        optimizer=recipe.optimizer.optimizer,
        trains_text=recipe.trains_text_encoder,
        generates=bool(recipe.samples.sample_prompts or recipe.samples.sample_file),
    )


def savings(recipe: Recipe, base: BaseShapes, load: Load) -> Iterator[str]:
    """What would make a run's training smaller, and by how much, the most first."""
    options, others = recipe.precision, dict[str, tuple[PrecisionOptions, Load]]()
    if not options.gradient_checkpointing:
        others["gradient_checkpointing = true"] = replace(options, gradient_checkpointing=True), load
    if options.offload == "none" and not recipe.run.device.startswith("cpu"):
        others['offload = "parts"'] = replace(options, offload="parts"), load
    if options.weights_precision != "fp8":
        others['weights_precision = "fp8"'] = replace(options, weights_precision="fp8"), load
    if recipe.batches.batch_size > 1:
        fewer = recipe.batches.batch_size // 2
        images = load.images * fewer // recipe.batches.batch_size
        others[f"batch_size = {fewer}"] = options, replace(load, images=images)
    others["a resolution of 3/4"] = options, replace(load, size=(load.size[0] * 3 // 4, load.size[1] * 3 // 4))
    now = memory_of(base, options, load).training
    less = {what: now - memory_of(base, *other).training for what, other in others.items()}
    for what, size in sorted(less.items(), key=lambda each: -each[1]):
        if size > 0:
            yield f"{what} ({in_gib(size)} less)"


def memory_is_full(recipe: Recipe, sizes: Iterable[tuple[int, int]], regularized: bool, when: str) -> PrepError:
    """The error for a run whose device had no memory left: what to change, and by how much it helps."""
    base, _ = shapes_of(recipe.model)
    machine = machine_of(recipe.run.device, recipe.precision.vram)
    hints = [] if base is None else list(savings(recipe, base, load_of(recipe, base, sizes, regularized)))
    return PrepError(
        f"{machine.name} had no memory left {when}",
        f"what helps: {', '.join(hints) or 'a smaller batch_size'}; or close what else uses the device",
    )


def _value(value: Any) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)
