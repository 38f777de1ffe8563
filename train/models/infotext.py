"""What an image was generated with, in the words that A1111, Forge and their kin write into a PNG and read from it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

from PIL import PngImagePlugin
from PIL.Image import Image

from pipeline.core.files import replacing
from train.models.sampling.samplers import DDIM, sampler_of
from train.models.text.prompts import Request

CHUNK = "parameters"
"""The PNG text chunk that the clients read."""


def infotext(request: Request, model: str, more: Mapping[str, object]) -> str:
    """The prompt, a line with the negative one, and a line of what was set; `request` has all of it.

    Of a model that is a folder only the name is given.
    """
    facts = {
        "Steps": request.steps,
        **sampler_of(request.sampler or DDIM).facts,
        "CFG scale": f"{request.guidance:g}",
        "Seed": request.seed,
        "Size": f"{request.size[0]}x{request.size[1]}",
        "Model": Path(model).name,
        **more,
    }
    lines = [request.prompt, f"Negative prompt: {request.negative}"] if request.negative else [request.prompt]
    return "\n".join([*lines, ", ".join(f"{key}: {_quoted(str(value))}" for key, value in facts.items())])


def _quoted(value: str) -> str:
    """As A1111 quotes a value that holds what its own lines are split at."""
    return json.dumps(value, ensure_ascii=False) if set(value) & set(',:\n"') else value


def save_png(image: Image, file: Path, text: str) -> None:
    """Write an image with its infotext, whole or not at all."""
    info = PngImagePlugin.PngInfo()
    info.add_text(CHUNK, text)
    with replacing(file) as temporary:
        image.save(temporary, "PNG", pnginfo=info)
