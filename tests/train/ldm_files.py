"""A model as the tensors of a single file, the other way round than `train/models/parts.py` reads one."""

from __future__ import annotations

from collections.abc import Iterator

import torch
from diffusers import AutoencoderKL, UNet2DConditionModel
from torch import Tensor, nn

from train.models.families.family import Family
from train.models.loading.parts import Finder, text_finder, unet_finder, vae_finder


def ldm_tensors(
    family: Family,
    unet: UNet2DConditionModel,
    vae: AutoencoderKL,
    text_encoders: tuple[nn.Module, ...],
    dtype: torch.dtype,
) -> dict[str, Tensor]:
    """A model under a single file's names, contiguous on the CPU: what `fill` reads.

    Args:
        unet, vae: with their diffusers configs; the text encoders in the family's order.
    """
    parts: list[tuple[nn.Module, Finder]] = [(unet, unet_finder(unet.config)), (vae, vae_finder(vae.config))]
    parts += [(model, text_finder(part)) for model, part in zip(text_encoders, family.text, strict=True)]
    return dict(_written(parts, dtype))


def _written(parts: list[tuple[nn.Module, Finder]], dtype: torch.dtype) -> Iterator[tuple[str, Tensor]]:
    for model, find in parts:
        thirds: dict[str, list[Tensor]] = {}
        for name, tensor in model.state_dict().items():
            place, tensor = find(name), tensor.detach().to("cpu", dtype)
            if place.third is not None:
                thirds.setdefault(place.key, [tensor] * 3)[place.third] = tensor
            elif ".mid.attn_1." in place.key and tensor.ndim == 2:
                yield place.key, tensor[:, :, None, None].contiguous()
            else:
                yield place.key, (tensor.T if place.turned else tensor).contiguous()
        yield from ((key, torch.cat(three)) for key, three in thirds.items())
