"""The families that can be trained, by name."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from train.models.families.family import Family
from train.models.families.sd1 import SD1
from train.models.families.sd2 import SD2
from train.models.families.sdxl import SDXL

FAMILIES = {family.name: family for family in (SD1, SD2, SDXL)}
WIDTHS = {768: "sd1", 1024: "sd2", 2048: "sdxl"}
"""Width of the text states that cross attention reads → the family's name."""


def family_of_config(unet: Mapping[str, Any]) -> Family:
    """The family of a UNet in diffusers format, by its config."""
    if unet.get("addition_embed_type") == "text_time":
        return SDXL
    return SD2 if unet.get("use_linear_projection") else SD1
