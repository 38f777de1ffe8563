"""Alphas of files that diffusers and PEFT write: in the metadata, not as tensors."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from typing import Any

from pipeline.core.errors import PrepError
from train.adapters.names.kohya_names import FOLDERS

PEFT = "lora_adapter_metadata"
"""The key of the metadata that holds the configs of PEFT as JSON."""


def peft_alpha(metadata: Mapping[str, str], part: str, path: str, rank: int) -> float | None:
    """The alpha of a layer, such that alpha / rank is its scale; None if the file tells none.

    A pattern that the layer's path ends with counts before the part's alpha. With a rank-stabilised scale, which is
    alpha / √rank (Kalajdzievski 2023, arXiv:2312.03732), the alpha given back is larger by √rank.

    Raises:
        PrepError: what it tells is no number.
    """
    configs = _table(metadata)
    name = FOLDERS[part]
    alpha = configs.get(f"{name}.lora_alpha")
    patterns = configs.get(f"{name}.alpha_pattern")
    for pattern, value in patterns.items() if isinstance(patterns, dict) else ():
        if path == pattern or path.endswith(f".{pattern}"):
            alpha = value
    if alpha is None:
        return None
    if isinstance(alpha, bool) or not isinstance(alpha, int | float) or not math.isfinite(alpha):
        raise PrepError(
            f"{PEFT} gives {path} the alpha {alpha!r}, which is no number", "the file is damaged: get it anew"
        )
    return float(alpha) * (math.sqrt(rank) if configs.get(f"{name}.use_rslora") is True else 1.0)


def _table(metadata: Mapping[str, str]) -> dict[str, Any]:
    try:
        found = json.loads(metadata.get(PEFT, "{}"))
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}
