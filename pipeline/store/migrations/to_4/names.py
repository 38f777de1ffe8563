"""What version 4 calls otherwise than version 3."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

FIELDS = {
    "twin": "regularization",
    "multiplier": "repeats",
    "given": "user_repeats",
    "overlay": "manual_edits",
    "placed": "imported",
    "human": "manual_caption",
    "cut": "truncated_tags",
}
"""Fields of decisions."""
OPTIONS: Mapping[str, Mapping[str, str]] = {
    "check": {"max_enlarge": "max_upscale"},
    "bucket": {
        "sheet_pictures": "sheet_images",
        "step": "bucket_reso_steps",
        "min_side": "min_bucket_reso",
        "max_side": "max_bucket_reso",
        "enlarge": "upscale",
    },
    "curate": {"core_pictures": "core_images", "absorb": "prune_tags"},
    "balance": {"given": "user_repeats"},
    "regularize": {"pictures": "images", "given": "user_images", "given_caption": "user_caption"},
    "train": {
        "neuron_dropout": "network_dropout",
        "start_from": "network_weights",
        "learning_rate": "unet_lr",
        "text_learning_rate": "text_encoder_lr",
        "second_text_learning_rate": "text_encoder_2_lr",
        "cycles": "num_cycles",
        "least_rate": "min_lr_ratio",
        "accumulate": "gradient_accumulation_steps",
        "huber_width": "huber_c",
        "input_perturbation": "ip_noise_gamma",
        "validation_pictures": "validation_images",
        "validation_noises": "validation_noise_samples",
        "state_every": "save_state_every",
    },
    "tags": {"pictures": "images"},
}
"""Stage, or what else has runs → its options, which are also the keys of its section of prep.toml."""
VALUES: Mapping[str, Mapping[str, Mapping[str, str]]] = {
    "curate": {"core": {"absorb": "prune"}},
    "regularize": {"pictures": {"given": "user"}},
}
"""Stage → option, by its old name → its values, or those of its keys."""
ADDED: Mapping[str, Mapping[str, Any]] = {
    "check": {"background": "white"},
    "curate": {
        "booru": "merge",
        "implications": None,
        "levels": {},
        "meta": "drop",
        "format": "booru",
        "format_order": (),
        "quality": {},
        "poor": "none",
        "year": {},
        "spelling": "spaces",
        "artist_prefix": "",
        "suffix": (),
    },
    "flatten": {"zip_encoding": "auto", "prune": False},
    "regularize": {
        "mixed_precision": "auto",
        "vram": None,
        "class_word": "",
        "class_words": {},
        "styles": ("artists/*", "artist/*", "styles/*", "style/*"),
    },
    "sample": {"mixed_precision": "auto", "vram": None, "sampler": "ddim", "guidance_rescale": 0.0},
    "train": {
        "accumulation_window": "run",
        "batch_loss": "nominal",
        "weights_precision": "auto",
        "offload": "auto",
        "vram": None,
        "prior_loss_weights": {},
        "reg_pair": "auto",
        "reg_share": 1.0,
        "compile": False,
        "channels_last": False,
        "tf32": False,
        "only": (),
        "without": (),
    },
}
"""Stage → options that version 3 had none of, with what it did, or what leaves it open."""
DECIDED: Mapping[str, Any] = {**ADDED["train"], "weights_precision": "full", "offload": "none"}
"""What of them a training run came to."""
LEFT_OPEN: Mapping[str, Mapping[str, tuple[Any, Any]]] = {
    "regularize": {"batch_size": (8, None)},
    "sample": {"batch_size": (8, None)},
    "train": {"mixed_precision": ("no", "auto"), "gradient_checkpointing": (False, None)},
}
"""Stage → option → what its default was, and is now."""
BESIDE_NOW = ("gradient_checkpointing", "offload", "vram", "compile", "channels_last", "tf32")
"""Options of training that change nothing of what is learned, and of which version 3 did not say so."""
LOG = {
    "learning_rate": "unet_lr",
    "text_learning_rate": "text_encoder_lr",
    "pictures": "images",
    "twins": "reg_images",
    "pictures_per_second": "images_per_second",
}
"""Keys of a line of runs/NAME/log.jsonl."""
VALIDATION = {"held": "held_out", "watched": "train_subset"}
"""Keys of a line of runs/NAME/validation.jsonl, and of the losses by concept and band in it."""
SET = {"multiplier": "repeats", "twins": "reg_images"}
"""Keys of an image in runs/NAME/set.json."""
TABLE = {"multiplier": "repeats", "showings": "exposures", "twin_showings": "reg_image_exposures"}
"""Columns of runs/NAME/images.csv."""
OLD_TABLE, NEW_TABLE = "pictures.csv", "images.csv"
"""Its name in runs/NAME."""


def renamed(values: Mapping[str, Any], names: Mapping[str, str]) -> dict[str, Any]:
    """A mapping under its new names, in its old order."""
    return {names.get(key, key): value for key, value in values.items()}


def option_name(stage: str) -> Callable[[str], str]:
    names = OPTIONS.get(stage, {})
    return lambda name: names.get(name, name)


def options_of(stage: str, values: Mapping[str, Any], origins: Mapping[str, str] | None = None) -> dict[str, Any]:
    """The options of a run as version 4 has them, in its order: that of their names where a stage ran. A default that nobody
    gave is today's."""
    found = {**renamed(with_new_values(stage, values), OPTIONS.get(stage, {})), **ADDED.get(stage, {})}
    for name, (before, after) in LEFT_OPEN.get(stage, {}).items():
        if origins is not None and origins.get(name, "default") == "default" and found.get(name) == before:
            found[name] = after
    return dict(sorted(found.items())) if list(values) == sorted(values) else found


def with_new_values(stage: str, values: Mapping[str, Any]) -> dict[str, Any]:
    """Options under their old names, with the values that version 4 gives them."""
    known = VALUES.get(stage, {})
    return {name: _value(value, known.get(name, {})) for name, value in values.items()}


def recipe_now(values: Mapping[str, Any]) -> dict[str, Any]:
    """A recipe as version 4 has it."""
    return {**renamed(values, OPTIONS["train"]), **DECIDED}


def _value(value: Any, names: Mapping[str, str]) -> Any:
    if isinstance(value, Mapping):
        return {key: _value(each, names) for key, each in value.items()}
    return names.get(value, value) if isinstance(value, str) else value
