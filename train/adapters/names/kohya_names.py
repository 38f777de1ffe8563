"""The names that adapter files give a model's layers, written and read (kohya-ss/sd-scripts', which A1111, Forge, ComfyUI
and diffusers look for); no torch here. Names in model files are in `train/models/families/key_map.py`.

`lora_unet_` and the layer's path in the UNet: in diffusers' words for SD 1.x and 2.x, in those of the original (LDM) UNet
for SDXL, the only ones that every reader of each knows. `lora_te_` for one text encoder, `lora_te1_` and `lora_te2_` for
SDXL's two.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TypeVar

from train.adapters.names.blocks import BASE
from train.models.families.key_map import OUTSIDE, RESNET, STANDARD, Blocks, unet_from_ldm, unet_to_ldm

Value = TypeVar("Value")
PREFIXES = (("lora_unet_", "unet"), ("lora_te1_", "te"), ("lora_te2_", "te2"), ("lora_te_", "te"), ("lycoris_", "unet"))
FOLDERS = {"unet": "unet", "te": "text_encoder", "te2": "text_encoder_2"}
"""The `part` of a layer path → the folder of a model in diffusers format, by which diffusers and PEFT name it in their keys."""
WORDS = re.compile(
    r"(?:(down_blocks|up_blocks|mid_block|transformer_blocks|proj_in|proj_out|to_q|to_k|to_v|to_out|conv_in|conv_out"
    r"|conv_norm_out|conv_shortcut|time_emb_proj|time_embedding|add_embedding|linear_1|linear_2"
    r"|input_blocks|output_blocks|middle_block|in_layers|out_layers|emb_layers|skip_connection|time_embed|label_emb"
    r"|text_model|self_attn|q_proj|k_proj|v_proj|out_proj|layer_norm1|layer_norm2|final_layer_norm|text_projection"
    r"|[^_]*))(?:_|$)"
)
"""The words between the dots of a path, those with an underscore in them first."""
IN_UNET = re.compile(
    rf"""(?:(?:down|up)_blocks\.\d+|mid_block)\.(?:
        resnets\.\d+\.(?:{"|".join(RESNET)})
        |attentions\.\d+\.(?:norm|proj_in|proj_out|transformer_blocks\.\d+\.
            (?:attn[12]\.to_(?:[qkv]|out\.0)|ff\.net\.(?:0\.proj|2)|norm[123]))
    )|(?:down_blocks\.\d+\.down|up_blocks\.\d+\.up)samplers\.0\.conv""",
    re.VERBOSE,
)
IN_TEXT = re.compile(
    r"encoder\.layers\.\d+\.(?:self_attn\.(?:[qkv]|out)_proj|mlp\.fc[12]|layer_norm[12])|final_layer_norm"
)


@dataclass(frozen=True, slots=True)
class LayerPath:
    """A layer: `part` is unet, te or te2, `path` the one in diffusers and transformers, `style` how the name wrote it.

    `style` is diffusers or ldm for the UNet, and for text encoders text_model, or bare where that prefix is missing,
    as trainers on transformers 5 leave it out.
    """

    part: str
    path: str
    style: str


def unet_name(path: str, ldm: bool, blocks: Blocks = STANDARD) -> str:
    """The name of the UNet's layer at a path of diffusers, in its words or in the original UNet's."""
    return f"lora_unet_{(unet_to_ldm(path, blocks) if ldm else path).replace('.', '_')}"


def text_name(path: str, number: int = 0) -> str:
    """The name of a text encoder's layer at a path of transformers.

    Args:
        path: with or without the `text_model.` that transformers 5 dropped, which the files' readers still expect.
        number: 1 or 2 where the model has two text encoders.
    """
    whole = path if path.startswith(("text_model.", "text_projection")) else f"text_model.{path}"
    return f"lora_te{number or ''}_{whole.replace('.', '_')}"


def kohya_name(layer_path: LayerPath, family: str, blocks: Blocks = STANDARD) -> str:
    """The name that every client reads: the UNet in diffusers' style for sd1 and sd2, in LDM's for sdxl."""
    if layer_path.part == "unet":
        return unet_name(layer_path.path, family == "sdxl" or layer_path.path == "conv_norm_out", blocks)
    return text_name(layer_path.path, 2 if layer_path.part == "te2" else int(family == "sdxl"))


@functools.lru_cache(maxsize=1 << 14)
def layer_path_of(name: str, blocks: Blocks = STANDARD) -> LayerPath | None:
    """The path that an adapter's layer name means, such as `lora_unet_mid_block_attentions_0_proj_in`."""
    for prefix, part in PREFIXES:
        if name.startswith(prefix):
            rest = name.removeprefix(prefix)
            return unet_layer_path(rest, blocks) if part == "unet" else text_layer_path(part, rest)
    return None


def unet_layer_path(path: str, blocks: Blocks = STANDARD) -> LayerPath | None:
    """The same for a path within a UNet in diffusers' or in the original (LDM) layout, with dots or underscores."""
    path = dotted(path)
    if _in_unet(path):
        return LayerPath("unet", path, "diffusers")
    try:
        found = unet_from_ldm(path, blocks)
    except KeyError:
        return None
    return LayerPath("unet", found, "ldm") if _in_unet(found) else None


def _in_unet(path: str) -> bool:
    return path in OUTSIDE or IN_UNET.fullmatch(path) is not None


def text_layer_path(part: str, path: str) -> LayerPath | None:
    """The same for a path within a CLIP text encoder, with or without `text_model`."""
    path = dotted(path)
    if path == "text_projection":
        return LayerPath(part, path, "text_model")
    inner = path.removeprefix("text_model.")
    if not IN_TEXT.fullmatch(inner):
        return None
    return LayerPath(part, f"text_model.{inner}", "bare" if inner == path else "text_model")


def by_layer(held: Mapping[str, Value]) -> dict[str, dict[str, Value]]:
    """What is held by the keys of a file, `layer.suffix` each, as layer → suffix → value."""
    found: dict[str, dict[str, Value]] = {}
    for key, value in held.items():
        layer, _, suffix = key.partition(".")
        found.setdefault(layer, {})[suffix] = value
    return found


def dotted(path: str) -> str:
    """A layer's path with dots between its words, from one with underscores there, as names in files have."""
    return WORDS.sub(lambda word: f"{word[1]}." if word[0].endswith("_") else word[1], path.replace(".", "_"))


def block_of(layer_path: LayerPath, blocks: Blocks = STANDARD) -> str:
    """The block that a layer is in, by the names of `blocks.py`: IN00 to IN11, M00, OUT00 to OUT11 (SDXL:
    to IN08 and OUT08), BASE for the text encoders; "" for the embeddings and the last convolution, which are in none."""
    if layer_path.part != "unet":
        return BASE
    kind, _, rest = unet_to_ldm(layer_path.path, blocks).partition(".")
    if kind == "middle_block":
        return "M00"
    section = {"input_blocks": "IN", "output_blocks": "OUT"}.get(kind)
    return f"{section}{int(rest.partition('.')[0]):02}" if section else ""


def kernel_of(layer_path: LayerPath, family: str) -> tuple[int, ...]:
    """The kernel of the layer there, (3, 3), (1, 1), or () for a linear one; SD 1.x alone projects with convolutions."""
    last = layer_path.path.rpartition(".")[2]
    if last in ("conv1", "conv2", "conv", "conv_in", "conv_out"):
        return (3, 3)
    if last == "conv_shortcut" or (last in ("proj_in", "proj_out") and family == "sd1"):
        return (1, 1)
    return ()
