"""A model's parts, built empty from their configs and filled from a single file."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import Tensor, nn
from transformers import CLIPTextConfig, CLIPTextModel, CLIPTextModelWithProjection

from pipeline.core.errors import PrepError
from train.models.diffusers_parts import AutoencoderKL, UNet2DConditionModel
from train.models.families.family import Family, TextPart
from train.models.families.key_map import UNET, VAE, Stored, blocks_of, text_to_ldm, unet_to_ldm, vae_to_ldm
from train.models.loading.weights import Weights
from train.models.storage import FULL, Numbers, keep, packed

Finder = Callable[[str], Stored]
"""A weight's name as diffusers or transformers call it → where it stands in a single file."""
MOST_NAMED = 3
LAYERS = (nn.Linear, nn.Conv2d)
VAE_ATTENTIONS = (
    {"norm": "group_norm", "q": "to_q", "k": "to_k", "v": "to_v", "proj_out": "to_out.0"},
    {"norm": "group_norm", "q": "query", "k": "key", "v": "value", "proj_out": "proj_attn"},
    {"norm": "norm", "q": "to_q", "k": "to_k", "v": "to_v", "proj_out": "to_out.0"},
)
"""What files call the layers of a VAE's attention instead."""


def empty_unet(config: Mapping[str, Any]) -> UNet2DConditionModel:
    """On torch's meta device: shapes, no weights, and nothing drawn from the global generator."""
    with torch.device("meta"):
        return UNet2DConditionModel.from_config(dict(config))


def empty_vae(config: Mapping[str, Any]) -> AutoencoderKL:
    """As `empty_unet`."""
    with torch.device("meta"):
        return AutoencoderKL.from_config(dict(config))


def empty_text(config: Mapping[str, Any], pooled: bool) -> CLIPTextModel | CLIPTextModelWithProjection:
    """As `empty_unet`, with the projection of the pooled states if they are used."""
    with torch.device("meta"):
        return (CLIPTextModelWithProjection if pooled else CLIPTextModel)(CLIPTextConfig(**config))


def unet_finder(config: Mapping[str, Any]) -> Finder:
    blocks = blocks_of(config)
    return lambda key: Stored(UNET + unet_to_ldm(key, blocks))


def vae_finder(config: Mapping[str, Any], prefix: str = VAE) -> Finder:
    count = len(config["down_block_types"])
    return lambda key: Stored(prefix + vae_to_ldm(key, count))


def text_finder(part: TextPart) -> Finder:
    def find(key: str) -> Stored:
        stored = text_to_ldm(key, part.names)
        return Stored(part.prefix + stored.key, stored.third, stored.turned)

    return find


def fill(model: nn.Module, weights: Weights, find: Finder, what: str, numbers: Numbers = FULL) -> None:
    """Give an empty model the weights of a file, each read by itself and put into the numbers that it is kept in; what is
    neither a linear layer nor a convolution is in float32.

    Raises:
        PrepError: weights are missing, or of another shape.
    """
    wanted = model.state_dict()
    places = {name: _variant(weights, find(name)) for name in wanted}
    missing = sorted(stored.key for stored in places.values() if stored.key not in weights.shapes)
    if missing:
        raise PrepError(
            f"{weights.file} lacks {_named(missing)} of {what}", "give a whole checkpoint of another source"
        )
    layers = {f"{path}.weight": layer for path, layer in model.named_modules() if isinstance(layer, LAYERS)}
    filled, scales, wrong = dict[str, Tensor](), dict[str, Tensor | None](), []
    for name, tensor in wanted.items():
        found = _taken(weights, places[name])
        if found.ndim != tensor.ndim and found.numel() == tensor.numel():
            found = found.reshape(tensor.shape)  # linear layers that were saved as 1×1 convolutions, or the other way
        if found.shape != tensor.shape:
            wrong.append(f"{places[name].key} ({tuple(found.shape)}, not {tuple(tensor.shape)})")
        elif name in layers:
            kept, scales[name] = packed(found, numbers.stored(found.dtype))
            filled[name] = _by_itself(kept)
        else:
            filled[name] = _by_itself(found.to(torch.float32))
    if wrong:
        raise PrepError(f"{weights.file} does not fit {what}: {_named(wrong)}", "give another checkpoint")
    model.load_state_dict(filled, assign=True)
    model.requires_grad_(False)
    for name, scale in scales.items():
        keep(layers[name], layers[name].weight.detach(), scale, numbers)
    _count_positions(model)


def _by_itself(tensor: Tensor) -> Tensor:
    """In memory of its own, no part of another tensor."""
    whole = tensor.contiguous()
    return whole if whole.untyped_storage().nbytes() == whole.nbytes else whole.clone()


def _variant(weights: Weights, stored: Stored) -> Stored:
    """The place under one of the names that other programs write it with: NovelAI's first model and its merges lack
    `text_model.`, converters leave the VAE's attention in diffusers' words, and some mergers save OpenCLIP's projection as a
    linear layer, not turned over."""
    if stored.key in weights.shapes:
        return stored
    attention = re.search(r"(.+\.mid\.attn_1\.)(.+)\.(weight|bias)", stored.key)
    for names in VAE_ATTENTIONS if attention else ():
        assert attention is not None
        other = f"{attention[1]}{names[attention[2]]}.{attention[3]}"
        if other in weights.shapes:
            return Stored(other)
    shorter, linear = stored.key.replace(".text_model.", ".", 1), f"{stored.key}.weight"
    if shorter in weights.shapes:
        return Stored(shorter, stored.third)
    return Stored(linear) if stored.turned and linear in weights.shapes else stored


def _taken(weights: Weights, stored: Stored) -> Tensor:
    tensor = weights.tensor(stored.key)
    if stored.third is not None:
        tensor = tensor.chunk(3)[stored.third]
    return tensor.T if stored.turned else tensor


def _named(found: list[str]) -> str:
    more = f" and {len(found) - MOST_NAMED} more" if len(found) > MOST_NAMED else ""
    return f"{', '.join(found[:MOST_NAMED])}{more}"


def _count_positions(model: nn.Module) -> None:
    """CLIP counts its positions in a buffer that is never saved."""
    for module in model.modules():
        if "position_ids" in module._buffers:
            positions = module.get_submodule("position_embedding").get_parameter("weight")
            module.register_buffer("position_ids", torch.arange(len(positions))[None], persistent=False)


def check_whole(weights: Weights, unet: nn.Module, find: Finder, family: Family) -> None:
    """Refuse a UNet with layers that the family does not have, such as a larger one that begins alike.

    Raises:
        PrepError: there are such layers.
    """
    known = {find(name).key for name in unet.state_dict()}
    beyond = sorted(name for name in weights.shapes if name.startswith(UNET) and name not in known)
    if beyond:
        raise PrepError(
            f"{weights.file} has layers that {family.title} does not have: {_named(beyond)}", "give another checkpoint"
        )
