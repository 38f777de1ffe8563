"""What varies in a grid: its axes with their values, and every combination of them."""

from __future__ import annotations

import itertools
import math
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from pipeline.config.settings import suggest
from pipeline.core.errors import PrepError

NAMES = (
    "base",
    "adapter",
    "blocks",
    "strength",
    "unet",
    "text",
    "prompt",
    "replace",
    "negative",
    "seed",
    "sampler",
    "steps",
    "guidance",
    "clip_skip",
)
"""What can vary, from what takes longest to change to what takes nothing."""
ACROSS = ("strength", "unet", "seed", "guidance", "steps", "clip_skip", "blocks", "sampler", "replace", "text")
"""What lies across a sheet rather than down, the first of them that varies."""
MOST = 20_000
"""Images of one grid."""
RANGE = re.compile(r"(-?[\d.]+)\s*\.\.\s*(-?[\d.]+)\s*(?::\s*([\d.]+))?")


@dataclass(frozen=True, slots=True)
class Value:
    """A value and how it is called on sheets and pages."""

    value: Any
    label: str


@dataclass(frozen=True, slots=True)
class Axis:
    """One thing that is set, to one value or to several."""

    name: str
    values: tuple[Value, ...]

    @property
    def varies(self) -> bool:
        return len(self.values) > 1


def axis(name: str, values: Sequence[Any], labels: Sequence[str] | None = None) -> Axis:
    """Raises:
    PrepError: a value stands twice.
    """
    written = [str(value) for value in values] if labels is None else list(labels)
    twice = [label for label in dict.fromkeys(written) if written.count(label) > 1]
    if twice:
        raise PrepError(f"{name}: {twice[0]!r} is given twice", "give each value once")
    return Axis(name, tuple(map(Value, values, written)))


def numbers(name: str, written: Sequence[str], low: float, high: float, whole: bool = False) -> list[float]:
    """Numbers from texts with commas and ranges: `0.4,0.6`, `0.4..1:0.2`, `1..4`.

    Raises:
        PrepError: one is no number, lies out of range, or a range has no end.
    """
    found: list[float] = []
    for part in (part.strip() for text in written for part in text.split(",")):
        match = RANGE.fullmatch(part)
        each = _ranged(name, part, match) if match else [_number(name, part)]
        for value in each:
            if not low <= value <= high or (whole and value != round(value)):
                kind = "whole number" if whole else "number"
                raise PrepError(
                    f"{name}: {part} is no {kind} from {low:g} to {high:g}",
                    f"such as --{name.replace('_', '-')} {low:g}",
                )
            found.append(int(value) if whole else value)
    return found


def _ranged(name: str, part: str, match: re.Match[str]) -> list[float]:
    start, end, step = (_number(name, text) for text in (match[1], match[2], match[3] or "1"))
    count = math.floor((end - start) / step + 1e-9) + 1 if step > 0 else 0
    if not 1 <= count <= MOST:
        raise PrepError(
            f"{name}: the range {part} holds nothing, or too much", "write START..END:STEP, such as 0.4..1:0.2"
        )
    return [round(start + index * step, 9) for index in range(count)]


def _number(name: str, part: str) -> float:
    try:
        found = float(part)
    except ValueError:
        found = math.nan
    if not math.isfinite(found):
        raise PrepError(f"{name}: {part!r} is no number", "write numbers with commas between them, or 0.4..1:0.2")
    return found


def replacements(written: str) -> list[tuple[str, str]]:
    """`red hair, blue hair, green hair` → what is searched for, and what stands in its place: itself first.

    Commas within a part are written `\\,`.
    """
    parts = [part.replace("\\,", ",").strip() for part in re.split(r"(?<!\\),", written)]
    if len(parts) < 2 or not parts[0]:
        raise PrepError(
            f"replace: {written!r} names nothing to put in its place",
            'write --replace "red hair, blue hair, green hair"',
        )
    return [(parts[0], part) for part in parts]


def combinations(axes: Sequence[Axis]) -> Iterator[Mapping[str, int]]:
    """Axis → number of its value, for every image of the grid, the last axis fastest."""
    for places in itertools.product(*(range(len(each.values)) for each in axes)):
        yield {each.name: place for each, place in zip(axes, places, strict=True)}


def checked(axes: Sequence[Axis]) -> tuple[Axis, ...]:
    """Raises:
    PrepError: they make too many images.
    """
    total = math.prod(len(each.values) for each in axes)
    if total > MOST:
        sizes = ", ".join(f"{len(each.values)} of {each.name}" for each in axes if each.varies)
        raise PrepError(f"the grid would have {total:,} images: {sizes}", f"at most {MOST:,}; give fewer values")
    return tuple(axes)


def laid_out(axes: Sequence[Axis], x: str | None, y: str | None) -> tuple[str | None, str | None]:
    """Which axis lies across a sheet and which down, of those that vary; what is left has a sheet for each value.

    Raises:
        PrepError: one that is asked for does not vary.
    """
    varying = [each.name for each in axes if each.varies]
    for option, name in (("x", x), ("y", y)):
        if name is not None and name not in varying:
            known = suggest(name, varying) if varying else "; nothing varies"
            raise PrepError(
                f"--{option} {name}: it has one value{known}", "give it several values, or take one that varies"
            )
    if x is not None and x == y:
        raise PrepError(f"--x and --y are both {x}", "take two that vary")
    x = x or next((name for name in ACROSS if name in varying and name != y), None)
    x = x or next((name for name in varying if name != y), None)
    y = y or next((name for name in varying if name != x), None)
    return x, y
