"""The key styles of adapter files (kohya and LyCORIS, diffusers, PEFT, OneTrainer) as layer name and suffix."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Literal

from train.adapters.names.kohya_names import FOLDERS, PREFIXES
from train.adapters.registry import SUFFIXES

Style = Literal["kohya", "diffusers", "flat", "processor", "bare", "peft", "comfyui", "original"]
"""How a key is written:

- kohya: `lora_unet_…`, dots as underscores
- diffusers: `unet.…`, `text_encoder.text_model.…`; flat: `text_encoder.encoder…`, as saved with transformers 5
- processor: diffusers' older attention processors without `unet.`; bare: other UNet paths without it
- peft: `base_model.model.…`
- comfyui: `diffusion_model.…`, `text_encoders.clip_l.…`, as OneTrainer writes them for ComfyUI
- original: OneTrainer's other two, `input_blocks…` or `unet.input_blocks…` and `clip_l.…`, and `lora_unet.…` with dots
"""
SCALAR = "scalar"
"""LyCORIS' factor of a whole layer, where it is not multiplied into the weights (`use_scalar`)."""
TAILS = "|".join(re.escape(suffix) for suffix in sorted({*SUFFIXES, SCALAR} - {"weight"}, key=len, reverse=True))
DOTTED = re.compile(
    r"(?P<head>.+?)(?:\.processor)?(?P<tail>"
    r"\.lora_[AB](?:\.default)?(?:\.weight)?|[._]lora\.(?:down|up)\.weight|\.lora_linear_layer\.(?:down|up)\.weight"
    rf"|\.lora_magnitude_vector(?:\.default)?(?:\.weight)?|\.(?:{TAILS}))"
)
PARTS = {folder: part for part, folder in FOLDERS.items()}
PEFT, COMFYUI = "base_model.model.", ("diffusion_model.", "model.diffusion_model.", "text_encoders.")
ORIGINAL = {"lora_unet": "unet", "lora_te": "te", "lora_te1": "te", "lora_te2": "te2"}
CLIPS = {"clip_l": "te", "clip_h": "te", "clip_g": "te2"}
"""The text encoders as ComfyUI and OneTrainer call them."""
LDM = ("input_blocks", "middle_block", "output_blocks", "time_embed", "label_emb", "out.")
EMBEDDING = "bundle_emb."
"""What the keys of textual inversions begin with that a LoRA file brings along."""


@dataclass(frozen=True, slots=True)
class KeyName:
    """A key as `layer`.`suffix` in kohya's and LyCORIS' terms, and the style it was written in."""

    layer: str
    suffix: str
    style: Style = "kohya"

    @property
    def dotted(self) -> bool:
        return self.style != "kohya"


def named(key: str) -> KeyName | None:
    """None for a key of no known style."""
    layer, _, suffix = key.partition(".")
    prefixes = tuple(prefix for prefix, _ in PREFIXES)
    if (suffix in SUFFIXES or suffix == SCALAR) and layer.startswith(prefixes):
        return KeyName(layer, suffix)
    found = DOTTED.fullmatch(key)
    if found is None:
        return None
    head, suffix = found["head"], _suffix(found["tail"])
    if "." not in head and head.startswith(prefixes):
        return KeyName(head, suffix, "diffusers")
    style, part, path = _placed(head, processor=".processor" in key)
    path = re.sub(r"\.processor(?=\.)", "", path)
    path = re.sub(r"(to_[qkv]|to_out|[qkv]_proj|out_proj)_lora$", r"\1", path)
    path = re.sub(r"\bto_out$", "to_out.0", path)
    return KeyName(f"lora_{part}_{path.replace('.', '_')}", suffix, style)


def _placed(head: str, processor: bool) -> tuple[Style, str, str]:
    """The style of a key's head, the part that it stands for, and the path in that."""
    if head.startswith(PEFT):
        _, part, path = _placed(head.removeprefix(PEFT), processor)
        return "peft", part, path
    if head.startswith(COMFYUI):
        inner = head.removeprefix("model.")
        if inner.startswith("diffusion_model."):
            return "comfyui", "unet", inner.removeprefix("diffusion_model.")
        _, part, path = _placed(inner.removeprefix("text_encoders."), processor)
        return "comfyui", part, path
    first, _, path = head.partition(".")
    if first in CLIPS or first in ORIGINAL:
        return "original", CLIPS.get(first) or ORIGINAL[first], path.removeprefix("transformer.")
    if first in PARTS:
        if PARTS[first] == "unet":
            return "original" if path.startswith(LDM) else "diffusers", "unet", path
        return "diffusers" if path.startswith(("text_model.", "text_projection")) else "flat", PARTS[first], path
    if first in ("text_model", "encoder"):
        return "bare", "te", head
    return "original" if head.startswith(LDM) else "processor" if processor else "bare", "unet", head


def _suffix(tail: str) -> str:
    if "magnitude" in tail:
        return "dora_scale"
    if tail[1:] in SUFFIXES or tail[1:] == SCALAR:
        return tail[1:]
    return "lora_down.weight" if "lora_A" in tail or "down" in tail else "lora_up.weight"
