"""What becomes of kohya's network_module and network_args, which name the algorithm and what it is asked."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pipeline.config.other_names import Values, read
from train.adapters.algorithms.lora import LOCON, LORA
from train.adapters.registry import ALGORITHMS, FOR_NORMS

LYCORIS = "lycoris.kohya"
MODULES = {each.kohya_module: name for name, each in ALGORITHMS.items() if each.kohya_module} | {LYCORIS: ""}
"""networks.lora is LoCon where network_args give it a conv_dim; lycoris.kohya says which algorithm in its network_args."""
BY_ALGO = {each.lycoris_name: name for name, each in ALGORITHMS.items() if each is not FOR_NORMS}
NUMBERS = {
    "conv_dim": ("conv_rank", int),
    "conv_alpha": ("conv_alpha", float),
    "dropout": ("network_dropout", float),
    "rank_dropout": ("rank_dropout", float),
    "module_dropout": ("module_dropout", float),
    "factor": ("factor", int),
    "unit": ("rank_unit", int),
    "block_size": ("rank_unit", int),
    "decompose_both": ("decompose_both", bool),
    "full_matrix": ("full_matrix", bool),
    "dora_wd": ("dora", bool),
    "rs_lora": ("rank_stabilized", bool),
    "use_tucker": ("tucker", bool),
    "use_cp": ("tucker", bool),
    "use_conv_cp": ("tucker", bool),
    "train_norm": ("train_norm", bool),
}
PRESETS: Mapping[str, dict[str, Any]] = {
    "attn-mlp": {"convolutions": "no"},
    "unet-transformer-only": {"convolutions": "no", "train_text_encoder": False},
}
SECTIONS = {"down_lr_weight": "IN{:02}", "mid_lr_weight": "M{:02}", "up_lr_weight": "OUT{:02}"}
COUNTS = {"down_lr_weight": 12, "mid_lr_weight": 1, "up_lr_weight": 12}


def network_module(value: Any, given: Values) -> dict[str, Any] | str:
    if value not in MODULES:
        raise ValueError(f"there is no such network here; there are {', '.join(MODULES)}, or algorithm = …")
    if not MODULES[value] and "network_args" not in given:
        return {"algorithm": LOCON.name}
    if "network_args" in given:
        return "the algorithm that network_args say"
    return {"algorithm": MODULES[value]}


def network_args(arguments: Mapping[str, str], given: Values) -> dict[str, Any]:
    """The algorithm, and everything that it is asked beside rank and alpha."""
    arguments = dict(arguments)
    made = _algorithm(arguments.pop("algo", None), "conv_dim" in arguments, given.get("network_module"))
    blocks: dict[str, float] = {}
    for key, text in arguments.items():
        if key in NUMBERS:
            name, kind = NUMBERS[key]
            made[name] = _value(key, text, kind)
        elif key in SECTIONS:
            blocks |= _shares(key, text)
        elif key == "preset" and text in PRESETS:
            made |= PRESETS[text]
        else:
            raise ValueError(f"{key} has no equivalent{_instead(key)}")
    return made | ({"blocks": blocks} if blocks else {})


def _algorithm(algo: str | None, convolutions: bool, module: Any) -> dict[str, Any]:
    """LyCORIS takes locon unless it is asked otherwise, and adapts convolutions with it in any case."""
    if algo is None and module is None:
        return {"algorithm": LOCON.name} if convolutions else {}
    if module == LYCORIS or algo is not None:
        name = BY_ALGO.get((algo or LOCON.lycoris_name).lower())
        if name is None:
            raise ValueError(f"there is no algorithm {algo!r} here; there are {', '.join(BY_ALGO)}")
        return {"algorithm": LOCON.name if name == LORA.name and (convolutions or module == LYCORIS) else name}
    name = MODULES.get(str(module), LORA.name)
    return {"algorithm": LOCON.name if name == LORA.name and convolutions and module in MODULES else name}


def _value(key: str, text: str, kind: type) -> Any:
    value = read(text, kind)
    if kind is float and type(value) is int:
        value = float(value)
    if type(value) is not kind:
        raise ValueError(f"{key} = {text!r}, expected {'true or false' if kind is bool else 'a number'}")
    return value


def _shares(key: str, text: str) -> dict[str, float]:
    """Shares of the learning rate by block, as `blocks` has them; SD 1.x has 12, 1 and 12."""
    try:
        shares = [float(part) for part in text.split(",")]
    except ValueError:
        shares = []
    if len(shares) != COUNTS[key]:
        raise ValueError(f"{key} = {text!r}, expected {COUNTS[key]} numbers; or use blocks = {{ IN = 0.5, … }}")
    return {SECTIONS[key].format(place): share for place, share in enumerate(shares)}


def _instead(key: str) -> str:
    instead = {
        "block_dims": "block_ranks = { IN = 8, … }",
        "conv_block_dims": "block_ranks = { IN = 8, … }",
        "block_alphas": "block_alphas = { IN = 4.0, … }",
        "conv_block_alphas": "block_alphas = { IN = 4.0, … }",
        "preset": "convolutions, train_text_encoder and blocks",
        "block_lr_zero_threshold": "blocks with a share of 0",
    }
    return f"; use {instead[key]}" if key in instead else ""
