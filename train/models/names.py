"""Names of weights: as diffusers and transformers call them, and as a single file of the LDM kind does; no torch here.

The single file's names are those of CompVis/latent-diffusion and Stability-AI/generative-models, for OpenCLIP text
encoders those of mlfoundations/open_clip.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from train.models.family import TextPart

UNET, VAE = "model.diffusion_model.", "first_stage_model."
INNER = {
    "norm1": "in_layers.0",
    "conv1": "in_layers.2",
    "time_emb_proj": "emb_layers.1",
    "norm2": "out_layers.0",
    "conv2": "out_layers.3",
    "conv_shortcut": "skip_connection",
}
"""Layers of the UNet's residual blocks."""
ENDS = {
    "conv_in": "input_blocks.0.0",
    "time_embedding.linear_1": "time_embed.0",
    "time_embedding.linear_2": "time_embed.2",
    "add_embedding.linear_1": "label_emb.0.0",
    "add_embedding.linear_2": "label_emb.0.2",
    "conv_norm_out": "out.0",
    "conv_out": "out.2",
}
"""The UNet's layers outside of its blocks."""
VAE_ATTENTION = {"group_norm": "norm", "to_q": "q", "to_k": "k", "to_v": "v", "to_out.0": "proj_out"}
OPENCLIP = {
    "layer_norm1": "ln_1",
    "layer_norm2": "ln_2",
    "mlp.fc1": "mlp.c_fc",
    "mlp.fc2": "mlp.c_proj",
    "self_attn.out_proj": "attn.out_proj",
}
THIRDS = ("q_proj", "k_proj", "v_proj")


@dataclass(frozen=True, slots=True)
class Place:
    """Where a weight stands in a single file: under `key`, all of it or only a `third` of its rows, or `turned` over."""

    key: str
    third: int | None = None
    turned: bool = False


@dataclass(frozen=True, slots=True)
class Blocks:
    """A UNet's blocks: residual layers in each, and whether the up blocks have attention, the deepest first."""

    layers: int
    attention: tuple[bool, ...]


def blocks_of(unet: Mapping[str, Any]) -> Blocks:
    """From a UNet's config."""
    types: Sequence[str] = unet["up_block_types"]
    return Blocks(int(unet["layers_per_block"]), tuple("CrossAttn" in kind for kind in types))


def unet_to_ldm(key: str, blocks: Blocks) -> str:
    """A UNet's weight as a single file calls it, without the prefix.

    Raises:
        KeyError: there is no such layer.
    """
    whole, weight = key.rpartition(".")[::2]
    if whole in ENDS:
        return f"{ENDS[whole]}.{weight}"
    kind, block, part, index, rest = _split(key)
    if kind == "mid":
        number = 2 * index if part == "resnets" else 1
        return f"middle_block.{number}.{_inner(rest) if part == 'resnets' else rest}"
    count = blocks.layers + 1
    if part == "downsamplers":
        return f"input_blocks.{count * (block + 1)}.0.{rest.replace('conv', 'op', 1)}"
    if part == "upsamplers":
        return f"output_blocks.{count * block + blocks.layers}.{2 if blocks.attention[block] else 1}.{rest}"
    place = f"input_blocks.{1 + count * block + index}" if kind == "down" else f"output_blocks.{count * block + index}"
    return f"{place}.0.{_inner(rest)}" if part == "resnets" else f"{place}.1.{rest}"


def _split(key: str) -> tuple[str, int, str, int, str]:
    """(down, mid or up; the block's number; resnets, attentions …; the number there; the rest)."""
    found = re.fullmatch(r"(down|up)_blocks\.(\d+)\.(\w+)\.(\d+)\.(.+)", key)
    if found:
        return found[1], int(found[2]), found[3], int(found[4]), found[5]
    found = re.fullmatch(r"mid_block\.(\w+)\.(\d+)\.(.+)", key)
    if not found:
        raise KeyError(key)
    return "mid", 0, found[1], int(found[2]), found[3]


def _inner(rest: str) -> str:
    layer, weight = rest.rpartition(".")[::2]
    return f"{INNER[layer]}.{weight}"


def unet_from_ldm(key: str, blocks: Blocks) -> str:
    """The inverse of `unet_to_ldm`.

    Raises:
        KeyError: there is no such layer.
    """
    whole, weight = key.rpartition(".")[::2]
    for name, ldm in ENDS.items():
        if whole == ldm:
            return f"{name}.{weight}"
    found = re.fullmatch(r"(input_blocks|output_blocks)\.(\d+)\.(\d+)\.(.+)", key)
    if found is None:
        return _middle(key)
    number, part, rest, count = int(found[2]), int(found[3]), found[4], blocks.layers + 1
    if found[1] == "input_blocks":
        block, index = divmod(number - 1, count)
        if rest.startswith("op."):
            return f"down_blocks.{block}.downsamplers.0.{rest.replace('op', 'conv', 1)}"
        return f"down_blocks.{block}.{_part(part, index, rest)}"
    block, index = divmod(number, count)
    if part and rest.startswith("conv."):
        return f"up_blocks.{block}.upsamplers.0.{rest}"
    return f"up_blocks.{block}.{_part(part, index, rest)}"


def _middle(key: str) -> str:
    found = re.fullmatch(r"middle_block\.([012])\.(.+)", key)
    if found is None:
        raise KeyError(key)
    number = int(found[1])
    return f"mid_block.{_part(number % 2, 0 if number % 2 else number // 2, found[2])}"


def _part(part: int, index: int, rest: str) -> str:
    if part:
        return f"attentions.{index}.{rest}"
    layer, weight = rest.rpartition(".")[::2]
    return f"resnets.{index}.{ {ldm: name for name, ldm in INNER.items()}[layer] }.{weight}"


def vae_to_ldm(key: str, blocks: int) -> str:
    """A weight of an AutoencoderKL of so many blocks as a single file calls it, without the prefix."""
    key = key.replace(".conv_norm_out.", ".norm_out.").replace(".conv_shortcut.", ".nin_shortcut.")
    key = re.sub(r"\.mid_block\.resnets\.(\d+)\.", lambda found: f".mid.block_{int(found[1]) + 1}.", key)
    found = re.fullmatch(r"(.+)\.mid_block\.attentions\.0\.(.+)\.(weight|bias)", key)
    if found:
        return f"{found[1]}.mid.attn_1.{VAE_ATTENTION[found[2]]}.{found[3]}"
    key = re.sub(r"\.down_blocks\.(\d+)\.resnets\.", r".down.\1.block.", key)
    key = re.sub(r"\.down_blocks\.(\d+)\.downsamplers\.0\.", r".down.\1.downsample.", key)
    key = re.sub(r"\.up_blocks\.(\d+)\.resnets\.", lambda found: f".up.{blocks - 1 - int(found[1])}.block.", key)
    return re.sub(
        r"\.up_blocks\.(\d+)\.upsamplers\.0\.", lambda found: f".up.{blocks - 1 - int(found[1])}.upsample.", key
    )


def text_to_ldm(key: str, names: str) -> Place:
    """Where a text encoder's weight stands, without the prefix.

    Args:
        key: as transformers calls it, with or without the `text_model.` that it has in some versions.
        names: clip or openclip.
    """
    key = key.removeprefix("text_model.")
    if names == "clip":
        return Place(f"text_model.{key}")
    ends = {
        "embeddings.token_embedding.weight": Place("token_embedding.weight"),
        "embeddings.position_embedding.weight": Place("positional_embedding"),
        "final_layer_norm.weight": Place("ln_final.weight"),
        "final_layer_norm.bias": Place("ln_final.bias"),
        "text_projection.weight": Place("text_projection", turned=True),
    }
    if key in ends:
        return ends[key]
    found = re.fullmatch(r"encoder\.layers\.(\d+)\.(.+)\.(weight|bias)", key)
    if found is None:
        raise KeyError(key)
    block, layer = f"transformer.resblocks.{found[1]}", found[2]
    if layer.startswith("self_attn.") and layer.removeprefix("self_attn.") in THIRDS:
        return Place(f"{block}.attn.in_proj_{found[3]}", third=THIRDS.index(layer.removeprefix("self_attn.")))
    return Place(f"{block}.{OPENCLIP[layer]}.{found[3]}")


def text_shapes(shapes: Mapping[str, tuple[int, ...]], part: TextPart, layers: int) -> dict[str, tuple[int, ...]]:
    """The shapes of a text encoder of so many layers in a single file, without the prefix, under transformers' names;
    what the file has beside them is left out."""
    if part.names == "clip":
        found = {key.removeprefix("text_model."): shape for key, shape in shapes.items()}
        return {key: shape for key, shape in found.items() if not key.endswith("position_ids")}
    back = {ldm: name for name, ldm in OPENCLIP.items()}
    ends = {"token_embedding.weight": "embeddings.token_embedding.weight", "ln_final.weight": "final_layer_norm.weight"}
    ends |= {"positional_embedding": "embeddings.position_embedding.weight", "ln_final.bias": "final_layer_norm.bias"}
    ends |= {"text_projection": "text_projection.weight"} if part.pooled else {}
    told: dict[str, tuple[int, ...]] = {ends[key]: shape for key, shape in shapes.items() if key in ends}
    for key, shape in shapes.items():
        found_layer = re.fullmatch(r"transformer\.resblocks\.(\d+)\.(.+?)[._](weight|bias)", key)
        if found_layer is None or int(found_layer[1]) >= layers:
            continue
        block, layer, weight = f"encoder.layers.{found_layer[1]}", found_layer[2], found_layer[3]
        if layer == "attn.in_proj":
            told |= {f"{block}.self_attn.{third}.{weight}": (shape[0] // 3, *shape[1:]) for third in THIRDS}
        else:
            told[f"{block}.{back[layer]}.{weight}"] = shape
    return told
