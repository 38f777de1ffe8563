"""The shapes of the families' weights, for plans before a model is downloaded; no torch here.

They are those of empty models, written by `python -m train.models.families.write_shapes`.
"""

from __future__ import annotations

import gzip
import json
import re
from importlib import resources
from pathlib import Path
from typing import Any

SHAPES = Path(str(resources.files("train.models.families") / "configs" / "shapes.json.gz"))
NAMED = (
    ("sdxl", re.compile(r"xl|pony|illustrious|noob|animagine")),
    ("sd2", re.compile(r"stable-diffusion-2|(?<![a-z])sd-?2(?:[^0-9]|1|$)")),
)
"""What names of repositories hold; where nothing of it stands, SD 1.x is meant."""


def family_by_name(name: str) -> str:
    """The family that a base model is of, as far as its name tells."""
    return next((family for family, named in NAMED if named.search(name.lower())), "sd1")


def known_shapes(family: str) -> dict[str, dict[str, tuple[int, ...]]]:
    """Part of `BaseShapes` (unet, text, vae) → weight → its shape."""
    found: dict[str, Any] = json.loads(gzip.decompress(SHAPES.read_bytes()))[family]
    return {part: {name: tuple(shape) for name, shape in shapes.items()} for part, shapes in found.items()}
