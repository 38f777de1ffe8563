"""Names in model files, of layers and of their weights: as diffusers and transformers call them, and as a single file of
the LDM kind does. The one map between the two; no torch here. Names in adapter files are in `train/names.py`.

The single file's names are those of CompVis/latent-diffusion and Stability-AI/generative-models, for OpenCLIP text
encoders those of mlfoundations/open_clip.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from train.models.families.family import TextPart

UNET, VAE = "model.diffusion_model.", "first_stage_model."
RESNET = {
    "norm1": "in_layers.0",
    "conv1": "in_layers.2",
    "time_emb_proj": "emb_layers.1",
    "norm2": "out_layers.0",
    "conv2": "out_layers.3",
    "conv_shortcut": "skip_connection",
}
"""Layers of the UNet's residual blocks."""
OUTSIDE = {
    "conv_in": "input_blocks.0.0",
    "time_embedding.linear_1": "time_embed.0",
    "time_embedding.linear_2": "time_embed.2",
    "add_embedding.linear_1": "label_emb.0.0",
    "add_embedding.linear_2": "label_emb.0.2",
    "conv_norm_out": "out.0",
    "conv_out": "out.2",
}
"""The UNet's layers outside of its blocks."""
RESNET_BACK, OUTSIDE_BACK = ({ldm: name for name, ldm in table.items()} for table in (RESNET, OUTSIDE))
IN_BLOCK = re.compile(r"(?:(down|up)_blocks\.(\d{1,3})|mid_block)\.(resnets|attentions)\.(\d{1,3})\.(.+)")
SAMPLER = re.compile(r"(?:down_blocks\.(\d{1,3})\.down|up_blocks\.(\d{1,3})\.up)samplers\.0\.conv")
VAE_ATTENTION = {"group_norm": "norm", "to_q": "q", "to_k": "k", "to_v": "v", "to_out.0": "proj_out"}
OPENCLIP = {
    "layer_norm1": "ln_1",
    "layer_norm2": "ln_2",
    "mlp.fc1": "mlp.c_fc",
    "mlp.fc2": "mlp.c_proj",
    "self_attn.out_proj": "attn.out_proj",
}
"""Layers of a text encoder's blocks."""
OPENCLIP_OUTSIDE = {
    "embeddings.token_embedding.weight": "token_embedding.weight",
    "embeddings.position_embedding.weight": "positional_embedding",
    "final_layer_norm.weight": "ln_final.weight",
    "final_layer_norm.bias": "ln_final.bias",
    "text_projection.weight": "text_projection",
}
"""Its weights outside of them; the projection is stored turned over."""
OPENCLIP_BACK, OPENCLIP_OUTSIDE_BACK = (
    {ldm: name for name, ldm in table.items()} for table in (OPENCLIP, OPENCLIP_OUTSIDE)
)
TURNED = "text_projection.weight"
THIRDS = ("q_proj", "k_proj", "v_proj")


@dataclass(frozen=True, slots=True)
class Stored:
    """Where a weight stands in a single file: under `key`, all of it or only a `third` of its rows, or `turned` over."""

    key: str
    third: int | None = None
    turned: bool = False

    def shape(self, shapes: Mapping[str, tuple[int, ...]]) -> tuple[int, ...]:
        """The weight's shape, from those of the file."""
        whole = shapes[self.key]
        if self.third is not None:
            return (whole[0] // 3, *whole[1:])
        return whole[::-1] if self.turned else whole


@dataclass(frozen=True, slots=True)
class Blocks:
    """A UNet's blocks: residual layers in each but the middle one (one more in the up blocks), and which up blocks are
    `bare` of attention, the deepest first."""

    layers: int = 2
    bare: frozenset[int] = frozenset()


STANDARD = Blocks()
"""Two layers a block, as every published Stable Diffusion has; attention in all up blocks with an upsampler, as in SDXL."""


def blocks_of(unet: Mapping[str, Any]) -> Blocks:
    """From a UNet's config."""
    bare = (number for number, kind in enumerate(unet["up_block_types"]) if "CrossAttn" not in kind)
    return Blocks(int(unet["layers_per_block"]), frozenset(bare))


def unet_to_ldm(name: str, blocks: Blocks) -> str:
    """A layer of the UNet, or a weight or bias of one, as a single file calls it, without the prefix.

    Raises:
        KeyError: there is no such layer.
    """
    path, weight = _parted(name)
    if path in OUTSIDE:
        return OUTSIDE[path] + weight
    count = blocks.layers + 1
    if sampler := SAMPLER.fullmatch(path):
        if sampler[1]:
            return f"input_blocks.{count * (int(sampler[1]) + 1)}.0.op{weight}"
        block = int(sampler[2])
        return f"output_blocks.{count * block + blocks.layers}.{1 if block in blocks.bare else 2}.conv{weight}"
    found = IN_BLOCK.fullmatch(path)
    if found is None:
        raise KeyError(name)
    attends, index = found[3] == "attentions", int(found[4])
    inner = f"{found[5] if attends else RESNET[found[5]]}{weight}"
    if found[1] is None:
        return f"middle_block.{2 * index + attends}.{inner}"
    number = count * int(found[2]) + index
    place = f"input_blocks.{1 + number}" if found[1] == "down" else f"output_blocks.{number}"
    return f"{place}.{int(attends)}.{inner}"


def unet_from_ldm(name: str, blocks: Blocks) -> str:
    """The inverse of `unet_to_ldm`.

    Raises:
        KeyError: there is no such layer.
    """
    path, weight = _parted(name)
    if path in OUTSIDE_BACK:
        return OUTSIDE_BACK[path] + weight
    if middle := re.fullmatch(r"middle_block\.([012])\.(.+)", path):
        index, attends = divmod(int(middle[1]), 2)
        return f"mid_block.{_inside(attends, index, middle[2])}{weight}"
    found = re.fullmatch(r"(input|output)_blocks\.(\d{1,3})\.([012])\.(.+)", path)
    if found is None:
        raise KeyError(name)
    side, part, inner = "down" if found[1] == "input" else "up", int(found[3]), found[4]
    block, index = divmod(int(found[2]) - (side == "down"), blocks.layers + 1)
    if block >= 0 and index == blocks.layers and (side, inner) in (("down", "op"), ("up", "conv")):
        return f"{side}_blocks.{block}.{side}samplers.0.conv{weight}"
    if block < 0 or part == 2:
        raise KeyError(name)
    return f"{side}_blocks.{block}.{_inside(part, index, inner)}{weight}"


def _inside(part: int, index: int, inner: str) -> str:
    return f"attentions.{index}.{inner}" if part == 1 else f"resnets.{index}.{RESNET_BACK[inner]}"


def _parted(name: str) -> tuple[str, str]:
    """A layer's path, and `.weight` or `.bias` where the name goes on with it."""
    weight = next((end for end in (".weight", ".bias") if name.endswith(end)), "")
    return name.removesuffix(weight), weight


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


def text_to_ldm(key: str, names: str) -> Stored:
    """Where a text encoder's weight stands, without the prefix.

    Args:
        key: as transformers calls it, with or without the `text_model.` that it has in some versions.
        names: clip or openclip.
    Raises:
        KeyError: there is no such weight.
    """
    key = key.removeprefix("text_model.")
    if names == "clip":
        return Stored(f"text_model.{key}")
    if key in OPENCLIP_OUTSIDE:
        return Stored(OPENCLIP_OUTSIDE[key], turned=key == TURNED)
    found = re.fullmatch(r"encoder\.layers\.(\d+)\.(.+)\.(weight|bias)", key)
    if found is None:
        raise KeyError(key)
    block, layer = f"transformer.resblocks.{found[1]}", found[2]
    if layer.startswith("self_attn.") and layer.removeprefix("self_attn.") in THIRDS:
        return Stored(f"{block}.attn.in_proj_{found[3]}", third=THIRDS.index(layer.removeprefix("self_attn.")))
    return Stored(f"{block}.{OPENCLIP[layer]}.{found[3]}")


def text_from_ldm(keys: Iterable[str], part: TextPart, layers: int) -> Iterator[tuple[str, Stored]]:
    """The inverse of `text_to_ldm` for a whole file: (transformers' name without `text_model.`, where it stands) of every
    weight of a text encoder of so many layers; what the file has beside them is left out.

    Args:
        keys: without the prefix.
    """
    for key in keys:
        if part.names == "clip" and not key.endswith("position_ids"):
            yield key.removeprefix("text_model."), Stored(key)
        elif part.names == "openclip" and key in OPENCLIP_OUTSIDE_BACK:
            name = OPENCLIP_OUTSIDE_BACK[key]
            if part.pooled or name != TURNED:
                yield name, Stored(key, turned=name == TURNED)
        elif part.names == "openclip":
            yield from _in_resblock(key, layers)


def _in_resblock(key: str, layers: int) -> Iterator[tuple[str, Stored]]:
    found = re.fullmatch(r"transformer\.resblocks\.(\d{1,3})\.(.+?)[._](weight|bias)", key)
    if found is None or int(found[1]) >= layers:
        return
    block, layer, weight = f"encoder.layers.{found[1]}", found[2], found[3]
    if layer == "attn.in_proj":
        for third, projection in enumerate(THIRDS):
            yield f"{block}.self_attn.{projection}.{weight}", Stored(key, third)
    elif layer in OPENCLIP_BACK:
        yield f"{block}.{OPENCLIP_BACK[layer]}.{weight}", Stored(key)


def text_shapes(shapes: Mapping[str, tuple[int, ...]], part: TextPart, layers: int) -> dict[str, tuple[int, ...]]:
    """The shapes of what `text_from_ldm` finds, under transformers' names."""
    return {name: stored.shape(shapes) for name, stored in text_from_ldm(shapes, part, layers)}
