"""How images are generated, or losses measured, on a device: in which precision, how many at once, and what leaves it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

from train.models.options import ModelOptions, PrecisionOptions
from train.plan.base_shapes import shapes_of
from train.plan.fit import choices, decided
from train.plan.machine import Machine, machine_of
from train.plan.memory import generating_bytes

AT_MOST = 8
"""Images at once where nobody says how many: more are hardly faster."""


@dataclass(frozen=True, slots=True)
class Generating:
    """Options that are decided, how many images are generated at once, and a word on what was chosen."""

    options: PrecisionOptions
    batch_size: int
    told: str


def decide_generation(
    precision: PrecisionOptions,
    model: ModelOptions,
    device: str,
    size: tuple[int, int],
    batch_size: int | None = None,
) -> Generating:
    """Decide what is open for what there is memory for, the fastest that fits.

    Args:
        size: (width, height) of the largest image.
        batch_size: images at once; as many as fit, at most 8, if not given.
    """
    machine = machine_of(device, precision.vram)
    base, _ = shapes_of(model)
    tried = first = next(_candidates(precision, machine, batch_size))
    if base is not None:
        for tried in _candidates(precision, machine, batch_size):
            if generating_bytes(base, tried.options, tried.batch_size, size) <= machine.room:
                break
    more = [] if tried.options.offload == "none" else ["parts that are not at work leave the device"]
    more += (
        [f"weights_precision = {tried.options.weights_precision}"] if tried.options.weights_precision != "full" else []
    )
    more += [f"{tried.batch_size} at once"] if tried.batch_size != first.batch_size else []
    what = [] if tried.options.mixed_precision == "no" else [f"mixed_precision = {tried.options.mixed_precision}"]
    told = f"chosen for {machine.name} ({machine.told}): {', '.join((*what, *more))}" if (*what, *more) else ""
    return replace(tried, told=told)


def here(precision: PrecisionOptions, device: str) -> PrecisionOptions:
    """A run's precision on another device perhaps: half precision only where the device computes in it fast, and what saves
    memory open again."""
    machine = machine_of(device, precision.vram)
    mixed = precision.mixed_precision if precision.mixed_precision in machine.half else "auto"
    return replace(
        precision, mixed_precision=mixed, weights_precision="auto", offload="auto", gradient_checkpointing=None
    )


def _candidates(precision: PrecisionOptions, machine: Machine, asked: int | None) -> Iterator[Generating]:
    mixed, weights, places = choices(precision, machine)
    for stored in weights:
        for place in places:
            options = decided(precision, mixed, stored, False, place)
            yield from (Generating(options, count, "") for count in _counts(asked))


def _counts(asked: int | None) -> Iterator[int]:
    """As asked, else from the most to one."""
    count = asked or AT_MOST
    while count:
        yield count
        count = count // 2 if asked is None else 0
