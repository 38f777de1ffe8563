"""The key styles of adapter files (kohya and LyCORIS, diffusers, PEFT) as layer name and suffix."""

from __future__ import annotations

import re
from dataclasses import dataclass

from train.adapters.names.layers import FOLDERS, PREFIXES
from train.adapters.registry import SUFFIXES

DOTTED = re.compile(
    r"(?P<head>.+?)(?:\.processor)?(?P<tail>"
    r"\.lora_[AB](?:\.default)?\.weight|[._]lora\.(?:down|up)\.weight|\.lora_linear_layer\.(?:down|up)\.weight"
    r"|\.lora_magnitude_vector(?:\.default)?(?:\.weight)?|\.alpha)"
)


PARTS = {folder: part for part, folder in FOLDERS.items()}


@dataclass(frozen=True, slots=True)
class KeyName:
    """A key as `layer`.`suffix` in kohya's and LyCORIS' terms; `dotted` if it was written as diffusers and PEFT do."""

    layer: str
    suffix: str
    dotted: bool = False


def named(key: str) -> KeyName | None:
    """None for a key of no known style."""
    layer, _, suffix = key.partition(".")
    if suffix in SUFFIXES and layer.startswith(tuple(prefix for prefix, _ in PREFIXES)):
        return KeyName(layer, suffix)
    found = DOTTED.fullmatch(key)
    if found is None:
        return None
    if "." not in found["head"] and found["head"].startswith(tuple(prefix for prefix, _ in PREFIXES)):
        return KeyName(found["head"], _suffix(found["tail"]), dotted=True)
    part, _, path = found["head"].removeprefix("base_model.model.").partition(".")
    if part not in PARTS:
        text = part in ("text_model", "encoder")
        part, path = "text_encoder" if text else "unet", found["head"].removeprefix("base_model.model.")
    path = re.sub(r"\.processor(?=\.)", "", path)
    path = re.sub(r"(to_[qkv]|to_out|[qkv]_proj|out_proj)_lora$", r"\1", path)
    path = re.sub(r"\bto_out$", "to_out.0", path)
    return KeyName(f"lora_{PARTS[part]}_{path.replace('.', '_')}", _suffix(found["tail"]), dotted=True)


def _suffix(tail: str) -> str:
    if "magnitude" in tail:
        return "dora_scale"
    if tail == ".alpha":
        return "alpha"
    return "lora_down.weight" if "lora_A" in tail or "down" in tail else "lora_up.weight"
