"""Which keys of an adapter file each client reads, and why it ignores the others."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from train.adapters.names.key_styles import EMBEDDING, SCALAR, KeyName, named
from train.adapters.names.kohya_names import LayerPath, layer_path_of

CLIENTS = ("a1111", "forge", "comfyui", "diffusers")
TARGETS: Mapping[str, tuple[str, ...]] = {
    "universal": ("a1111", "forge", "comfyui"),
    "a1111": ("a1111",),
    "forge": ("forge",),
    "comfyui": ("comfyui",),
    "diffusers": ("diffusers",),
}
"""What a file can be written for: universal is every client that knows more than plain LoRA; a file for diffusers is read
by all four."""
LINEAR_TEXT = (
    ".self_attn.q_proj",
    ".self_attn.k_proj",
    ".self_attn.v_proj",
    ".self_attn.out_proj",
    ".mlp.fc1",
    ".mlp.fc2",
)
LORA = ("lora_down.weight", "lora_up.weight", "alpha", "dora_scale")
FORGE_LIMIT = 12
"""Keys that Forge leaves unread before it refuses a file."""
UNREAD = {
    "peft": "it reads no names that begin with base_model.model",
    "original": "it reads no names of OneTrainer",
    "comfyui": "it reads no names of ComfyUI",
    "processor": "the names do not begin with unet.",
    "bare": "the names do not begin with unet. or text_encoder.",
}
"""Why a client does not read a style of keys."""
NO_OUTPUT = "it drops the attention of a text encoder for which the file has no out_proj"
LOST_BY_A1111_IN_SDXL = ("up_blocks.0.upsamplers.0.conv", "add_embedding.linear_1", "add_embedding.linear_2")


@dataclass(frozen=True, slots=True)
class Used:
    """Keys that a client reads, and those it leaves with the reason."""

    read: tuple[str, ...]
    ignored: Mapping[str, str]


def used_keys(client: str, keys: Iterable[str], family: str) -> Used:
    """Sort the keys of a file for a model of the family sd1, sd2 or sdxl."""
    keys = tuple(keys)
    names = {key: named(key) for key in keys}
    whole = _refusal(names, family) if client == "diffusers" else ""
    complete = _complete_attention(names.values()) if client == "a1111" else frozenset()
    dropped = _parts_without_output(names.values()) if client == "diffusers" else frozenset()
    read, ignored = [], {}
    for key, name in names.items():
        why = whole or _why_not(client, key, name, family, complete) or _without_output(name, dropped)
        if why:
            ignored[key] = why
        else:
            read.append(key)
    if client == "forge" and len(ignored) > FORGE_LIMIT:
        return Used((), dict.fromkeys(keys, f"it refuses a file with more than {FORGE_LIMIT} keys that it cannot read"))
    return Used(tuple(read), ignored)


def _why_not(client: str, key: str, name: KeyName | None, family: str, complete: frozenset[str]) -> str:
    if key.startswith(EMBEDDING):
        return "" if client == "a1111" else "it reads no textual inversion in a LoRA file"
    layer_path = layer_path_of(name.layer) if name else None
    if name is None or layer_path is None:
        return "a name that stands for no layer of Stable Diffusion"
    if name.suffix == SCALAR:
        return "it does not know LyCORIS' scalar, so that the layer acts with another strength"
    if layer_path.style == "bare" and not name.dotted:
        return "the name lacks text_model, as trainers on transformers 5 leave it out"
    if name.layer.startswith("lycoris_") and client in ("a1111", "diffusers"):
        return "the prefix lycoris_ is not known to it"
    if client == "a1111":
        return _a1111(name, layer_path, family, complete)
    if client == "diffusers":
        return _diffusers(name, layer_path, family)
    return _comfyui(client, key, name, layer_path)


def _a1111(name: KeyName, layer_path: LayerPath, family: str, complete: frozenset[str]) -> str:
    if name.dotted:
        return "it reads no dotted names (of diffusers, PEFT or OneTrainer)"
    if layer_path.part == "unet":
        lost = ("conv_norm_out", *(LOST_BY_A1111_IN_SDXL if family == "sdxl" else ()))
        return (
            "it knows this layer by its LDM name only"
            if layer_path.style == "diffusers" and layer_path.path in lost
            else ""
        )
    if layer_path.path == "text_projection":
        return "it does not adapt the text projection"
    if not (layer_path.part == "te2" or family == "sd2"):
        return ""
    if not layer_path.path.endswith(LINEAR_TEXT):
        return "it does not adapt the norms of OpenCLIP text encoders"
    if ".self_attn." not in layer_path.path:
        return ""
    if name.suffix in ("oft_blocks", "rescale"):
        return "it cannot rotate the attention of OpenCLIP text encoders"
    if name.suffix == "diff_b" and not layer_path.path.endswith(".out_proj"):
        return "it leaves out biases of the attention of OpenCLIP text encoders"
    attention = f"{layer_path.part}:{layer_path.path.rsplit('.', 1)[0]}"
    return "" if attention in complete else "it needs q, k, v and out of an OpenCLIP attention, or applies none"


def _parts_without_output(names: Iterable[KeyName | None]) -> frozenset[str]:
    """Text encoders whose attention is adapted without an `out_proj`, in kohya's names."""
    held = text_attentions_without_output(name.layer for name in names if name is not None and not name.dotted)
    return frozenset(layer_path.part for name in held if (layer_path := layer_path_of(name)) is not None)


def _without_output(name: KeyName | None, parts: frozenset[str]) -> str:
    layer_path = layer_path_of(name.layer) if name else None
    inside = layer_path is not None and layer_path.part in parts and ".self_attn." in layer_path.path
    return NO_OUTPUT if inside else ""


def text_attentions_without_output(names: Iterable[str]) -> list[str]:
    """One name of a q, k or v projection for each text encoder whose attention is adapted, but nowhere its `out_proj`."""
    found: dict[str, str] = {}
    complete = set()
    for name in names:
        layer_path = layer_path_of(name)
        if layer_path is None or layer_path.part == "unet" or ".self_attn." not in layer_path.path:
            continue
        if layer_path.path.endswith(".out_proj"):
            complete.add(layer_path.part)
        else:
            found.setdefault(layer_path.part, name)
    return [name for part, name in found.items() if part not in complete]


def _complete_attention(names: Iterable[KeyName | None]) -> frozenset[str]:
    found: dict[str, set[str]] = {}
    for name in names:
        layer_path = layer_path_of(name.layer) if name else None
        if layer_path is not None and ".self_attn." in layer_path.path:
            attention, projection = layer_path.path.rsplit(".", 1)
            found.setdefault(f"{layer_path.part}:{attention}", set()).add(projection)
    return frozenset(attention for attention, projections in found.items() if len(projections) == 4)


def _comfyui(client: str, key: str, name: KeyName, layer_path: LayerPath) -> str:
    """ComfyUI and Forge, which has its code; the styles of keys that their table of names has."""
    if "lora_magnitude_vector" in key:
        return "it does not know lora_magnitude_vector"
    if name.style in ("peft", "original") or (name.style == "comfyui" and client == "forge"):
        return UNREAD[name.style]
    plain = name.style in ("diffusers", "processor", "bare") and not key.startswith("lora_")
    if plain and layer_path.part == "unet" and ".to_" in layer_path.path and ".processor." not in key:
        return "it reads attention in diffusers' names with .processor only"
    if name.style == "flat":
        return "the name lacks text_model, as trainers on transformers 5 leave it out"
    if name.style == "bare" and layer_path.part != "unet":
        return UNREAD["bare"]
    if layer_path.part == "unet" or layer_path.path.endswith(LINEAR_TEXT):
        return ""
    if layer_path.path == "text_projection" and layer_path.part == "te2":
        return ""
    return "it adapts only the linear layers of text encoders"


def _refusal(names: Mapping[str, KeyName | None], family: str) -> str:
    """Diffusers loads a kohya file wholly or not at all."""
    for key, name in names.items():
        if name is None or name.suffix not in LORA:
            return f"it loads plain LoRA only and refuses the file for {key}"
        if name.dotted and "lora" not in key:
            return f"it refuses the file (Invalid LoRA checkpoint) for {key}, which lacks the word lora"
        layer_path = layer_path_of(name.layer)
        in_blocks = layer_path is not None and layer_path.path.startswith(("down_blocks", "up_blocks", "mid_block"))
        if in_blocks and layer_path is not None and layer_path.style == "ldm" and not name.dotted and family != "sdxl":
            return "it refuses files for SD 1.x and 2.x whose UNet names are not in diffusers' style"
    return ""


def _diffusers(name: KeyName, layer_path: LayerPath, family: str) -> str:
    if name.style in UNREAD:
        return UNREAD[name.style]
    if name.suffix == "dora_scale" and not name.dotted:
        return "it drops DoRA's magnitudes with a warning"
    if layer_path.part == "unet" and not name.dotted and family == "sdxl":
        lost = layer_path.style == "diffusers" and layer_path.path == "add_embedding.linear_2"
        return "it knows this layer by its LDM name only" if lost else ""
    return ""
