"""kohya-ss/sd-scripts' names for the settings of `prep train`, and what becomes of each.

A name that both have with the same meaning (unet_lr, batch and so on) stands in RENAMED as itself, so that its flag is
taken with underscores too. Where the two differ is said beside it.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pipeline.config.other_names import OtherNames, Rewrite, Values
from train.options.kohya_network import network_args, network_module
from train.options.kohya_refused import REFUSED, REFUSED_SWITCHES

SAME = (
    "vae",
    "clip_skip",
    "seed",
    "unet_lr",
    "text_encoder_lr",
    "conv_alpha",
    "network_weights",
    "network_dropout",
    "prior_loss_weight",
    "min_snr_gamma",
    "noise_offset",
    "adaptive_noise_scale",
    "ip_noise_gamma",
    "zero_terminal_snr",
    "huber_c",
    "huber_schedule",
    "max_grad_norm",
    "scale_weight_norms",
    "mixed_precision",
    "gradient_checkpointing",
    "gradient_accumulation_steps",
    "random_crop",
    "caption_prefix",
    "caption_suffix",
    "sample_prompts",
    "optimizer_args",
)
"""min_snr_gamma switches min-SNR on there; here it is on unless `weighting` says otherwise."""
RENAMED: Mapping[str, str] = {
    **{name: name for name in SAME},
    "pretrained_model_name_or_path": "base",
    "output_name": "name",
    "network_dim": "rank",
    "network_alpha": "alpha",
    "conv_dim": "conv_rank",
    "train_batch_size": "batch_size",
    "max_train_epochs": "epochs",
    "save_every_n_epochs": "save_every_epochs",
    "save_last_n_epochs": "keep_last",
    "sample_every_n_epochs": "sample_every_epochs",
    "caption_dropout_rate": "caption_dropout",
    "caption_dropout_every_n_epochs": "caption_dropout_epochs",
    "caption_tag_dropout_rate": "tag_dropout",
    "keep_tokens": "keep_tags",
    "keep_tokens_separator": "keep_separator",
    "secondary_separator": "group_separator",
    "shuffle_caption": "shuffle_tags",
    "token_warmup_min": "tag_warmup_min",
    "wildcard": "wildcards",
    "max_token_length": "max_tokens",
    "loss_type": "loss",
    "noise_offset_random_strength": "noise_offset_random",
    "multires_noise_iterations": "multires_iterations",
    "multires_noise_discount": "multires_discount",
    "lr_scheduler_num_cycles": "num_cycles",
    "lr_scheduler_power": "power",
    "lr_scheduler_min_lr_ratio": "min_lr_ratio",
    "flip_aug": "flip",
    "validation_split": "validation_share",
}
OPTIMIZERS = {
    "adamw": "AdamW",
    "adamw8bit": "AdamW8bit",
    "lion": "Lion",
    "lion8bit": "Lion8bit",
    "sgdnesterov": "SGDNesterov",
    "adafactor": "AdaFactor",
    "dadaptation": "DAdaptAdam",
    "dadaptadam": "DAdaptAdam",
    "dadaptlion": "DAdaptLion",
    "prodigy": "Prodigy",
    "adamwschedulefree": "ScheduleFreeAdamW",
}
SCHEDULERS = ("constant", "constant_with_warmup", "linear", "cosine", "cosine_with_restarts", "polynomial")
COLOR_AUG = 0.05
"""color_aug there shifts the hue by up to 8 of 180 or takes a gamma from 0.95 to 1.05: about a twentieth of either."""


# --- reading what was given


def number(value: Any) -> float:
    """A number, given as one or as a text."""
    if isinstance(value, bool):
        raise ValueError("expected a number")
    try:
        return float(value)
    except (TypeError, ValueError):
        raise ValueError("expected a number") from None


def whole(value: Any) -> int:
    found = number(value)
    if found != int(found):
        raise ValueError("expected a whole number")
    return int(found)


def truth(value: Any) -> bool:
    if isinstance(value, bool):
        return value
    raise ValueError("expected true or false")


def numbers(value: Any) -> list[float]:
    """Several numbers: one, a list, or texts with commas or spaces between."""
    if isinstance(value, str):
        return [number(part) for part in value.replace(",", " ").split()]
    if isinstance(value, list | tuple):
        return [found for part in value for found in numbers(part)]
    return [number(value)]


def pairs(value: Any) -> dict[str, str]:
    """A list of "key=value", or a text of them with spaces between."""
    texts = value.split() if isinstance(value, str) else [part for each in value for part in str(each).split()]
    found = {}
    for text in texts:
        key, equals, rest = text.partition("=")
        if not key or not equals:
            raise ValueError(f'expected "key=value", not {text!r}')
        found[key] = rest
    return found


def steps(value: Any, given: Values) -> int:
    """There a step is an update, here a batch: with gradients added up, there are more batches."""
    return whole(value) * max(1, whole(given.get("gradient_accumulation_steps", 1)))


# --- what becomes of them


def _learning_rate(value: Any, given: Values) -> dict[str, Any] | str:
    """The rate of what has none of its own: of the UNet, and of the text encoder where it is trained."""
    trained = given.get("train_text_encoder") or given.get("network_train_unet_only") is False
    parts = ["unet_lr", "text_encoder_lr"] if trained else ["unet_lr"]
    made = {name: number(value) for name in parts if name not in given}
    return made or f"nothing, as {' and '.join(parts)} {'are' if trained else 'is'} given"


def _text_encoder_lr(value: Any, _: Values) -> dict[str, Any]:
    rates = numbers(value)
    if not 1 <= len(rates) <= 2:
        raise ValueError("expected one number, or two for SDXL")
    return dict(zip(("text_encoder_lr", "text_encoder_2_lr"), rates, strict=False))


def _warmup(value: Any, _: Values) -> dict[str, Any]:
    """Updates, a share below 1, or a percentage."""
    if isinstance(value, str) and value.endswith("%"):
        return {"warmup_share": number(value[:-1]) / 100}
    found = number(value)
    return {"warmup_share": found} if 0 < found < 1 else {"warmup_steps": whole(value)}


def _scheduler(value: Any, _: Values) -> dict[str, Any]:
    if value == "cosine_with_min_lr":  # min_lr_ratio says how low
        return {"scheduler": "cosine"}
    if value not in SCHEDULERS:
        raise ValueError(f"there is no such scheduler here; there are {', '.join(SCHEDULERS)}")
    return {"scheduler": value}


def _max_train_steps(value: Any, given: Values) -> dict[str, Any] | str:
    if "max_train_epochs" in given:
        return "nothing, as max_train_epochs goes before it"
    return {"steps": steps(value, given)}


def _token_warmup(value: Any, given: Values) -> dict[str, Any]:
    found = number(value)
    return {"tag_warmup_share": found} if 0 < found < 1 else {"tag_warmup_steps": steps(value, given)}


def _optimizer(value: Any, _: Values) -> dict[str, Any]:
    name = str(value).lower()
    if name not in OPTIMIZERS:
        raise ValueError(f"there is no such optimizer here; there are {', '.join(dict.fromkeys(OPTIMIZERS.values()))}")
    return {"optimizer": OPTIMIZERS[name]}


def _enable_wildcard(value: Any, _: Values) -> dict[str, Any]:
    """There it draws one of a caption's lines too."""
    return {"wildcards": True, "caption_lines": "one"} if truth(value) else {"wildcards": False}


def _face_crop(value: Any, _: Values) -> dict[str, Any]:
    if len(found := numbers(value)) != 2:
        raise ValueError('expected two numbers, such as "1.0,1.5"')
    return {"face_crop": found}


def _sample_prompts(value: Any, _: Values) -> dict[str, Any]:
    """There a file; here the prompts themselves, beside sample_file."""
    return {"sample_file": value}


def _save_precision(value: Any, _: Values) -> dict[str, Any]:
    return {"save_precision": {"float": "fp32"}.get(str(value), value)}


def _network_train_unet_only(value: Any, _: Values) -> dict[str, Any]:
    return {"train_text_encoder": not truth(value)}


def _log_with(value: Any, _: Values) -> dict[str, Any]:
    if value != "tensorboard":
        raise ValueError("figures are written for TensorBoard alone; use tensorboard = true")
    return {"tensorboard": True}


def _huber_scale(value: Any, _: Values) -> str:
    if number(value) != 1:
        raise ValueError("huber_c stands without a scale here; give huber_c itself")
    return "nothing, as it is 1"


def _save_model_as(value: Any, _: Values) -> str:
    if value != "safetensors":
        raise ValueError("adapters are always saved as .safetensors")
    return "nothing, adapters are always saved so"


def _sample_sampler(value: Any, _: Values) -> str:
    if value != "ddim":
        raise ValueError("sample images are made with DDIM; write --ss NAME behind a prompt for another sampler")
    return "nothing, sample images are made so"


def _switch(**settings: Any) -> Rewrite:
    """Settings that stand for a switch that is on."""
    return lambda value, _: dict(settings) if truth(value) else "nothing, as it is off"


REWRITTEN: Mapping[str, Rewrite] = {
    "text_encoder_lr": _text_encoder_lr,
    "learning_rate": _learning_rate,
    "lr_scheduler": _scheduler,
    "lr_warmup_steps": _warmup,
    "max_train_steps": _max_train_steps,
    "save_every_n_steps": lambda value, given: {"save_every_steps": steps(value, given)},
    "sample_every_n_steps": lambda value, given: {"sample_every_steps": steps(value, given)},
    "validate_every_n_steps": lambda value, given: {"validation_every": steps(value, given)},
    "token_warmup_step": _token_warmup,
    "optimizer_type": _optimizer,
    "optimizer_args": lambda value, _: {"optimizer_args": pairs(value)},
    "use_8bit_adam": _switch(optimizer="AdamW8bit"),
    "use_lion_optimizer": _switch(optimizer="Lion"),
    "debiased_estimation_loss": _switch(weighting="debiased"),
    "v_parameterization": _switch(prediction="v_prediction"),
    "no_half_vae": _switch(vae_precision="fp32"),
    "fp8_base": _switch(weights_precision="fp8"),
    "fp8_base_unet": _switch(weights_precision="fp8"),
    "highvram": _switch(offload="none"),
    "torch_compile": _switch(compile=True),
    "opt_channels_last": _switch(channels_last=True),
    "color_aug": _switch(color_jitter=COLOR_AUG),
    "enable_wildcard": _enable_wildcard,
    "face_crop_aug_range": _face_crop,
    "sample_prompts": _sample_prompts,
    "sample_sampler": _sample_sampler,
    "save_precision": _save_precision,
    "save_model_as": _save_model_as,
    "network_train_unet_only": _network_train_unet_only,
    "network_module": network_module,
    "network_args": lambda value, given: network_args(pairs(value), given),
    "log_with": _log_with,
    "huber_scale": _huber_scale,
}
KOHYA = OtherNames(
    trainer="kohya-ss/sd-scripts",
    renamed={name: ours for name, ours in RENAMED.items() if name not in REWRITTEN},
    rewritten=REWRITTEN,
    refused=REFUSED,
    switches=REFUSED_SWITCHES
    | {
        "zero_terminal_snr",
        "gradient_checkpointing",
        "random_crop",
        "shuffle_caption",
        "wildcard",
        "noise_offset_random_strength",
        "flip_aug",
        "use_8bit_adam",
        "use_lion_optimizer",
        "torch_compile",
        "opt_channels_last",
        "debiased_estimation_loss",
        "v_parameterization",
        "no_half_vae",
        "fp8_base",
        "fp8_base_unet",
        "highvram",
        "color_aug",
        "enable_wildcard",
        "network_train_unet_only",
    },
    lists=frozenset({"text_encoder_lr", "optimizer_args", "network_args"}),
    paths=frozenset({"network_weights", "sample_prompts"}),
)
