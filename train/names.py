"""The names that files give an adapter's layers, which A1111, Forge, ComfyUI and diffusers look for (kohya-ss/sd-scripts').

`lora_unet_` and the layer's path in the UNet: in diffusers' words for SD 1.x and 2.x, in those of the original (LDM) UNet
for SDXL, the only ones that every reader of each knows. `lora_te_` for one text encoder, `lora_te1_` and `lora_te2_` for
SDXL's two.
"""

from __future__ import annotations

import re
from typing import Any

from torch import nn

RESNET = {
    "norm1": "in_layers.0",
    "conv1": "in_layers.2",
    "time_emb_proj": "emb_layers.1",
    "norm2": "out_layers.0",
    "conv2": "out_layers.3",
    "conv_shortcut": "skip_connection",
}
FIXED = {
    "conv_in": "input_blocks.0.0",
    "conv_norm_out": "out.0",
    "conv_out": "out.2",
    "time_embedding.linear_1": "time_embed.0",
    "time_embedding.linear_2": "time_embed.2",
    "add_embedding.linear_1": "label_emb.0.0",
    "add_embedding.linear_2": "label_emb.0.2",
}
IN_BLOCK = re.compile(r"(down_blocks|up_blocks)\.(\d+)\.(resnets|attentions|downsamplers|upsamplers)\.(\d+)\.(.+)")
IN_MIDDLE = re.compile(r"mid_block\.(resnets|attentions)\.(\d+)\.(.+)")


def is_xl(unet: nn.Module) -> bool:
    """Whether the UNet is SDXL's: it is conditioned on sizes, too."""
    return getattr(unet.config, "addition_embed_type", None) == "text_time"


def unet_name(path: str, unet: nn.Module) -> str:
    """The name in files of the UNet's layer at the path, as diffusers has it."""
    return "lora_unet_" + (ldm_path(path, unet) if is_xl(unet) else path).replace(".", "_")


def ldm_path(path: str, unet: nn.Module) -> str:
    """The path in the original UNet: blocks in one row, each resnet of one a block by itself, as is each sampler."""
    if path in FIXED:
        return FIXED[path]
    if found := IN_MIDDLE.fullmatch(path):
        kind, number, rest = found[1], int(found[2]), found[3]
        place = 2 * number if kind == "resnets" else 2 * number + 1
        return f"middle_block.{place}.{_inner(kind, rest)}"
    found = IN_BLOCK.fullmatch(path)
    assert found, f"{path} is no layer of a block"
    way, block, kind, number, rest = found[1], int(found[2]), found[3], int(found[4]), found[5]
    config: Any = unet.config
    layers = int(config.layers_per_block)
    if way == "down_blocks":
        start = 1 + block * (layers + 1)
        if kind == "downsamplers":
            return f"input_blocks.{start + layers}.0.op"
        return f"input_blocks.{start + number}.{int(kind == 'attentions')}.{_inner(kind, rest)}"
    start = block * (layers + 1)
    if kind == "upsamplers":
        attends = "CrossAttn" in config.up_block_types[block]
        return f"output_blocks.{start + layers}.{2 if attends else 1}.{rest}"
    return f"output_blocks.{start + number}.{int(kind == 'attentions')}.{_inner(kind, rest)}"


def _inner(kind: str, rest: str) -> str:
    return RESNET[rest] if kind == "resnets" else rest


def text_prefix(text_encoder: nn.Module, number: int = 0) -> str:
    """`lora_te`, with a number where a model has several, and `_text_model` where transformers has it not in its paths: it
    dropped that level, and the files' readers still expect it."""
    prefix = f"lora_te{number or ''}"
    return prefix if hasattr(text_encoder, "text_model") else f"{prefix}_text_model"


def text_name(path: str, text_encoder: nn.Module, number: int = 0) -> str:
    return f"{text_prefix(text_encoder, number)}_{path.replace('.', '_')}"


def block_of(path: str, unet: nn.Module) -> str:
    """The block that a layer of the UNet is in: IN00 to IN11, M00, OUT00 to OUT11 (SDXL: to IN08 and OUT08); empty for the
    embeddings and the last convolution, which are in none."""
    kind, _, rest = ldm_path(path, unet).partition(".")
    if kind == "middle_block":
        return "M00"
    words = {"input_blocks": "IN", "output_blocks": "OUT"}
    return f"{words[kind]}{int(rest.partition('.')[0]):02}" if kind in words else ""
