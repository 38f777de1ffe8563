"""Looks for numbers that are not finite in a base model, before the first step could blame them on an image."""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor, nn

from pipeline.core.errors import PrepError
from train.models.base import BaseModel
from train.models.storage import FLOAT8

NAMED = 3


def refuse_not_finite(base: BaseModel) -> None:
    """See that every weight of the base model is finite in the precision that it is in now.

    Raises:
        PrepError: some are not; the first tensors are named, with what part of each.
    """
    wrong = [f"{part}: {name} ({bad} of {of} numbers)" for part, name, bad, of in not_finite(base)]
    if wrong:
        more = f" and {len(wrong) - NAMED} more" if len(wrong) > NAMED else ""
        raise PrepError(
            f"the base model {base.name} holds numbers that are not finite, in {', '.join(wrong[:NAMED])}{more}",
            "the images are not to blame: download the model again or use another; if its weights are too large for fp16, "
            'use mixed_precision = "bf16"',
        )


def not_finite(base: BaseModel) -> Iterator[tuple[str, str, int, int]]:
    """(part, tensor, how many of its numbers are not finite, of how many)."""
    parts: list[tuple[str, nn.Module]] = [("unet", base.unet), ("vae", base.vae)]
    parts += [(f"text encoder {number}", encoder) for number, encoder in enumerate(base.text_encoders, 1)]
    for part, module in parts:
        tensors = [(name, weight) for name, weight in module.state_dict().items() if weight.is_floating_point()]
        if tensors and not bool(torch.stack([_whole(weight) for _, weight in tensors]).all()):
            for name, weight in tensors:
                bad = int((~weight.float().isfinite()).sum())
                if bad:
                    yield part, name, bad, weight.numel()


def _whole(weight: Tensor) -> Tensor:
    """Whether all is finite, a scalar on the weight's device, without a mask as large as the weight."""
    weight = weight.half() if weight.dtype is FLOAT8 else weight
    return weight.sum(dtype=torch.float32).isfinite() if weight.numel() else weight.new_tensor(True, dtype=torch.bool)
