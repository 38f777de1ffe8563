"""Where in a Stable Diffusion model a layer stands, read from any name that trainers and checkpoints give it."""

from __future__ import annotations

import re
from dataclasses import dataclass

LAYERS = 2
"""Resnets per block of every published Stable Diffusion UNet."""
RESNET = {
    "in_layers_0": "norm1",
    "in_layers_2": "conv1",
    "emb_layers_1": "time_emb_proj",
    "out_layers_0": "norm2",
    "out_layers_3": "conv2",
    "skip_connection": "conv_shortcut",
}
LDM_OUTSIDE = {
    "conv_in": "input_blocks.0.0",
    "conv_norm_out": "out.0",
    "conv_out": "out.2",
    "time_embedding.linear_1": "time_embed.0",
    "time_embedding.linear_2": "time_embed.2",
    "add_embedding.linear_1": "label_emb.0.0",
    "add_embedding.linear_2": "label_emb.0.2",
}
OUTSIDE = {path.replace(".", "_"): path for path in LDM_OUTSIDE}
OUTSIDE_LDM = {ldm.replace(".", "_"): path for path, ldm in LDM_OUTSIDE.items()}
IN_TRANSFORMER = re.compile(
    r"(transformer_blocks)_(\d+)_(?:(attn[12])_(to_[qkv]|to_out_0)|ff_(net_0_proj|net_2)|(norm[123]))"
)
IN_TEXT = re.compile(
    r"(text_model_)?(?:encoder_layers_(\d+)_(?:self_attn_([qkv]|out)_proj|mlp_(fc[12])|(layer_norm[12]))"
    r"|(final_layer_norm))"
)
PREFIXES = (("lora_unet_", "unet"), ("lora_te1_", "te"), ("lora_te2_", "te2"), ("lora_te_", "te"), ("lycoris_", "unet"))


@dataclass(frozen=True, slots=True)
class Place:
    """A layer: `part` is unet, te or te2, `path` the one in diffusers and transformers, `style` how the name wrote it.

    `style` is diffusers or ldm for the UNet, and for text encoders text_model, or bare where that prefix is missing,
    as trainers on transformers 5 leave it out.
    """

    part: str
    path: str
    style: str


def place_of(name: str, layers: int = LAYERS) -> Place | None:
    """The place that an adapter's layer name means, such as `lora_unet_mid_block_attentions_0_proj_in`."""
    for prefix, part in PREFIXES:
        if name.startswith(prefix):
            rest = name[len(prefix) :]
            return unet_place(rest, layers) if part == "unet" else text_place(part, rest)
    return None


def unet_place(path: str, layers: int = LAYERS) -> Place | None:
    """The same for a path within a UNet in diffusers' or in the original (LDM) layout, with dots or underscores."""
    flat = path.replace(".", "_")
    if flat in OUTSIDE:
        return Place("unet", OUTSIDE[flat], "diffusers")
    if flat in OUTSIDE_LDM:
        return Place("unet", OUTSIDE_LDM[flat], "ldm")
    found, style = _diffusers_path(flat), "diffusers"
    if found is None:
        found, style = _from_ldm(flat, layers), "ldm"
    return None if found is None else Place("unet", found, style)


def text_place(part: str, path: str) -> Place | None:
    """The same for a path within a CLIP text encoder, with or without `text_model`."""
    flat = path.replace(".", "_")
    if flat == "text_projection":
        return Place(part, flat, "text_model")
    found = IN_TEXT.fullmatch(flat)
    if found is None:
        return None
    model, index, projection, layer, norm, final = found.groups()
    inner = f"self_attn.{projection}_proj" if projection else f"mlp.{layer}" if layer else norm
    path = final or f"encoder.layers.{index}.{inner}"
    return Place(part, f"text_model.{path}", "text_model" if model else "bare")


def _diffusers_path(flat: str) -> str | None:
    found = re.fullmatch(r"(down_blocks|up_blocks)_(\d+)_(?:downsamplers|upsamplers)_0_conv", flat)
    if found:
        kind = "downsamplers" if found[1] == "down_blocks" else "upsamplers"
        return f"{found[1]}.{found[2]}.{kind}.0.conv" if kind in flat else None
    found = re.fullmatch(r"(?:(down_blocks|up_blocks)_(\d+)|(mid_block))_(resnets|attentions)_(\d+)_(\w+)", flat)
    if not found:
        return None
    block = found[3] or f"{found[1]}.{found[2]}"
    inner = _in_attention(found[6]) if found[4] == "attentions" else found[6] if found[6] in RESNET.values() else None
    return inner and f"{block}.{found[4]}.{found[5]}.{inner}"


def _from_ldm(flat: str, layers: int) -> str | None:
    found = re.fullmatch(r"(input|output|middle)_blocks?_(\d+)_(\w+)", flat)
    if not found:
        return None
    side, number, rest = found[1], int(found[2]), found[3]
    if side == "middle":
        inner = _in_attention(rest) if number == 1 else RESNET.get(rest)
        kind = "attentions.0" if number == 1 else f"resnets.{number // 2}"
        return f"mid_block.{kind}.{inner}" if inner and number < 3 else None
    block, index = divmod(number - 1 if side == "input" else number, layers + 1)
    start = f"{'down' if side == 'input' else 'up'}_blocks.{block}"
    if side == "input" and rest == "0_op" and index == layers:
        return f"{start}.downsamplers.0.conv"
    if side == "output" and rest in ("1_conv", "2_conv") and index == layers:
        return f"{start}.upsamplers.0.conv"
    place, _, rest = rest.partition("_")
    inner = RESNET.get(rest) if place == "0" else _in_attention(rest) if place == "1" else None
    return inner and f"{start}.{'resnets' if place == '0' else 'attentions'}.{index}.{inner}"


def _in_attention(flat: str) -> str | None:
    if flat in ("norm", "proj_in", "proj_out"):
        return flat
    found = IN_TRANSFORMER.fullmatch(flat)
    if not found:
        return None
    head = f"{found[1]}.{found[2]}"
    if found[3]:
        return f"{head}.{found[3]}.{found[4].replace('out_0', 'out.0')}"
    return f"{head}.ff.{found[5].replace('_', '.')}" if found[5] else f"{head}.{found[6]}"


def ldm_path(path: str, layers: int = LAYERS, up_attention: bool = True) -> str:
    """The original (LDM) path of a diffusers UNet path; `up_attention`: whether the upsampler's block has attention.

    Raises:
        ValueError: it is no path within a Stable Diffusion UNet.
    """
    if path in LDM_OUTSIDE:
        return LDM_OUTSIDE[path]
    head, *rest = path.split(".")
    if head == "mid_block" and len(rest) > 2:
        middle = 1 if rest[0] == "attentions" else 2 * int(rest[1])
        return f"middle_block.{middle}.{_ldm_inner(rest[0], rest[2:])}"
    if head in ("down_blocks", "up_blocks") and len(rest) > 3:
        block, kind, index = int(rest[0]), rest[1], int(rest[2])
        first, side = (1, "input_blocks") if head == "down_blocks" else (0, "output_blocks")
        number = first + (layers + 1) * block + index
        if kind == "downsamplers":
            return f"{side}.{(layers + 1) * (block + 1)}.0.op"
        if kind == "upsamplers":
            return f"{side}.{number + layers}.{2 if up_attention else 1}.conv"
        return f"{side}.{number}.{0 if kind == 'resnets' else 1}.{_ldm_inner(kind, rest[3:])}"
    raise ValueError(f"{path!r} is no path within a Stable Diffusion UNet")


def _ldm_inner(kind: str, inner: list[str]) -> str:
    if kind == "attentions":
        return ".".join(inner)
    names = {diffusers: ldm for ldm, diffusers in RESNET.items()}
    name = names[".".join(inner)]
    return name if name == "skip_connection" else re.sub(r"_(\d)$", r".\1", name)


def kohya_name(place: Place, family: str, layers: int = LAYERS) -> str:
    """The layer name that every client reads: the UNet in diffusers' style for sd1 and sd2, in LDM's for sdxl."""
    if place.part != "unet":
        prefix = {"te": "lora_te1" if family == "sdxl" else "lora_te", "te2": "lora_te2"}[place.part]
        return f"{prefix}_{place.path.replace('.', '_')}"
    ldm = family == "sdxl" or place.path == "conv_norm_out"
    path = ldm_path(place.path, layers) if ldm else place.path
    return "lora_unet_" + path.replace(".", "_")


def block_of(place: Place, layers: int = LAYERS) -> str:
    """IN00 to IN11, M00, OUT00 to OUT11, BASE for the text encoders, "" for what stands outside the UNet's blocks."""
    if place.part != "unet":
        return "BASE"
    if place.path == "conv_in":
        return "IN00"
    if place.path.startswith("mid_block"):
        return "M00"
    if not place.path.startswith(("down_blocks", "up_blocks")):
        return ""
    side, number, *_ = ldm_path(place.path, layers).split(".")
    return f"{'IN' if side == 'input_blocks' else 'OUT'}{int(number):02}"


def kernel_of(place: Place, family: str) -> tuple[int, ...]:
    """The kernel of the layer there, (3, 3), (1, 1), or () for a linear one; SD 1.x alone projects with convolutions."""
    last = place.path.rsplit(".", 1)[-1]
    if last in ("conv1", "conv2", "conv", "conv_in", "conv_out"):
        return (3, 3)
    if last == "conv_shortcut" or (last in ("proj_in", "proj_out") and family == "sd1"):
        return (1, 1)
    return ()
