"""preprocess.json, in which models exported by deepghs and animetimm say how an image is prepared for them."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, get_args

from PIL import ImageColor

from taggers.errors import TaggerError
from taggers.spec import Interpolation, ModelSpec

NEUTRAL = ("to_tensor", "maybe_to_tensor", "convert_rgb")
"""Steps that change nothing here: images are RGB, and 0 to 1 is the scale of such specs."""


def declared_by(spec: ModelSpec, file: Path) -> ModelSpec:
    """The spec with what the file says. The list of steps is called `test` or `stages`.

    Steps are read in their order: pad_to_size (fit into a canvas, pad), resize, center_crop, normalize.

    Raises:
        TaggerError: it is no such file, or holds a step that would cut the image or is not known.
    """
    try:
        read = json.loads(file.read_bytes().decode("utf-8-sig"))
        steps = read.get("test") or read["stages"]
        found = spec if _pads(steps) else replace(spec, pad=None)
        for step in steps:
            found = _with(found, str(step["type"]), step.get("params", step))
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise TaggerError(
            f"{file} cannot be understood: {type(error).__name__}: {error}",
            "fetch it again from where the model came from",
        ) from error
    if not found.side:
        raise TaggerError(f"{file} does not say to what side an image is resized", "add a step: resize")
    return found


def _pads(steps: list[Mapping[str, Any]]) -> bool:
    return any(step["type"] == "pad_to_size" for step in steps)


def _with(spec: ModelSpec, kind: str, step: Mapping[str, Any]) -> ModelSpec:
    if kind == "pad_to_size":
        canvas = _square(step["size"])
        return replace(spec, canvas=canvas, side=canvas, pad=_colour(step["background_color"]), fit=_filter(step))
    if kind == "resize":
        if spec.pad is None and isinstance(step["size"], int):
            raise ValueError("resizing the shorter side and cutting the rest off is not supported")
        return replace(spec, side=_square(step["size"]), interpolation=_filter(step))
    if kind == "center_crop":
        cut = step.get("size") or [step["height"], step["width"]]
        if _square(cut) != spec.side:
            raise ValueError(f"cutting {cut} out of {spec.side} pixels is not supported")
        return spec
    if kind == "normalize":
        std = _three(step["std"])
        if min(std) <= 0:
            raise ValueError(f"std is {step['std']}, it must be above 0")
        return replace(spec, mean=_three(step["mean"]), std=std)
    if kind in NEUTRAL:
        return spec
    raise ValueError(f"the step {kind!r} is not known")


def _square(size: Any) -> int:
    sides = size if isinstance(size, list) else [size]
    if not all(type(side) is int and 16 <= side <= 4096 and side == sides[0] for side in sides) or len(sides) > 2:
        raise ValueError(f"the size {size} is not a square of 16 to 4096 pixels")
    return int(sides[0])


def _filter(step: Mapping[str, Any]) -> Interpolation:
    name = step.get("interpolation", "bilinear")
    known: Interpolation
    for known in get_args(Interpolation):
        if name == known:
            return known
    raise ValueError(f"the interpolation {name!r} is not one of {', '.join(get_args(Interpolation))}")


def _colour(given: Any) -> tuple[int, int, int]:
    parts = ImageColor.getrgb(given) if isinstance(given, str) else given
    red, green, blue = (min(255, max(0, int(part))) for part in parts[:3])
    return red, green, blue


def _three(given: Any) -> tuple[float, float, float]:
    parts = given if isinstance(given, list) else [given] * 3
    red, green, blue = (float(part) for part in parts)
    return red, green, blue
