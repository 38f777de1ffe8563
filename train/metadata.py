"""What an adapter file says about itself, in the keys A1111, Forge and ComfyUI read."""

from __future__ import annotations

import hashlib
import json
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save, save_file
from torch import Tensor

from pipeline.files import replacing
from train.recipe import Recipe
from train.schedules import updates_of, warmup_updates

DTYPES = {"fp32": torch.float32, "fp16": torch.float16, "bf16": torch.bfloat16}


def adapter_metadata(
    recipe: Recipe,
    *,
    v2: bool,
    v_prediction: bool,
    steps: int,
    epochs: int,
    images: int,
    twins: int,
    buckets: dict[tuple[int, int], int],
    frequency: dict[str, dict[str, int]],
    base_digest: str,
    optimizer: str,
    accumulate: int,
    triggers: list[str],
) -> dict[str, str]:
    """The `ss_*` keys kohya's trainer writes and readers look for, and the model spec's. All values are strings."""
    module = "networks.lora" if recipe.algorithm == "lora" else "lycoris.kohya"
    arguments: dict[str, Any] = (
        {}
        if recipe.algorithm == "lora"
        else {"algo": recipe.algorithm, "conv_dim": recipe.conv_rank, "conv_alpha": recipe.conv_alpha}
    )
    sizes = {
        str(index): {"resolution": list(size), "count": count}
        for index, (size, count) in enumerate(sorted(buckets.items()))
    }
    facts: dict[str, Any] = {
        "ss_network_module": module,
        "ss_network_dim": recipe.rank,
        "ss_network_alpha": recipe.alpha,
        "ss_network_args": arguments,
        "ss_base_model_version": ("sd_v2_v" if v_prediction else "sd_v2") if v2 else "sd_v1",
        "ss_v2": v2,
        "ss_sd_model_name": recipe.base,
        "ss_output_name": recipe.name,
        "ss_num_epochs": epochs,
        **_optimization(recipe, optimizer, steps, accumulate),
        **_noise_and_loss(recipe),
        "ss_seed": recipe.seed,
        "ss_batch_size_per_device": recipe.batch_size,
        "ss_clip_skip": recipe.clip_skip,
        "ss_num_train_images": images,
        "ss_num_reg_images": twins,
        "ss_shuffle_caption": recipe.shuffle_tags,
        "ss_keep_tokens": 1 if recipe.keep_tags is None else recipe.keep_tags,
        "ss_max_token_length": None if recipe.max_tokens == 75 else recipe.max_tokens,
        "ss_caption_dropout_rate": recipe.caption_dropout,
        "ss_caption_dropout_every_n_epochs": recipe.caption_dropout_epochs,
        "ss_caption_tag_dropout_rate": recipe.tag_dropout,
        "ss_tag_frequency": frequency,
        "ss_bucket_info": {"buckets": sizes},
        "modelspec.sai_model_spec": "1.0.0",
        "modelspec.architecture": "stable-diffusion-v2-512/lora" if v2 else "stable-diffusion-v1/lora",
        "modelspec.implementation": "diffusers",
        "modelspec.title": recipe.name,
        "modelspec.trigger_phrase": ", ".join(triggers),
        "modelspec.prediction_type": "v" if v_prediction else "epsilon",
        "prep_version": _version(),
        "prep_base_digest": base_digest,
    }
    return {
        key: value
        if isinstance(value, str)
        else json.dumps(value, ensure_ascii=False)
        if isinstance(value, dict)
        else str(value)
        for key, value in facts.items()
    }


def _optimization(recipe: Recipe, optimizer: str, steps: int, accumulate: int) -> dict[str, Any]:
    unet, text = recipe.rates
    updates = updates_of(steps, accumulate)
    return {
        "ss_steps": updates,
        "ss_learning_rate": unet,
        "ss_unet_lr": unet,
        "ss_text_encoder_lr": text if recipe.train_text_encoder else None,
        "ss_optimizer": optimizer,
        "ss_lr_scheduler": recipe.schedule,
        "ss_lr_warmup_steps": warmup_updates(recipe.warmup_steps, recipe.warmup_share, updates),
        "ss_gradient_accumulation_steps": accumulate,
        "ss_gradient_checkpointing": recipe.gradient_checkpointing,
        "ss_max_grad_norm": recipe.max_grad_norm,
        "ss_scale_weight_norms": recipe.scale_weight_norms or None,
        "ss_mixed_precision": recipe.mixed_precision,
    }


def _noise_and_loss(recipe: Recipe) -> dict[str, Any]:
    rounded = recipe.loss in ("huber", "smooth_l1")
    return {
        "ss_noise_offset": recipe.noise_offset or None,
        "ss_noise_offset_random_strength": recipe.noise_offset_random,
        "ss_adaptive_noise_scale": recipe.adaptive_noise_scale or None,
        "ss_multires_noise_iterations": recipe.multires_iterations or None,
        "ss_multires_noise_discount": recipe.multires_discount,
        "ss_ip_noise_gamma": recipe.input_perturbation or None,
        "ss_zero_terminal_snr": recipe.zero_terminal_snr,
        "ss_min_snr_gamma": recipe.min_snr_gamma if recipe.weighting == "min-snr" else None,
        "ss_debiased_estimation": recipe.weighting == "debiased",
        "ss_loss_type": recipe.loss,
        "ss_huber_schedule": recipe.huber_schedule if rounded else None,
        "ss_huber_c": recipe.huber_width if rounded else None,
        "ss_prior_loss_weight": recipe.prior_loss_weight,
    }


def _version() -> str:
    try:
        return version("lora-prep")
    except PackageNotFoundError:
        return "not installed"


def write_adapter(file: Path, tensors: dict[str, Tensor], metadata: dict[str, str]) -> None:
    """Write the file in one step, with the hash of its weights that A1111 knows files by (sha256 after the header)."""
    raw = save(tensors)
    length = int.from_bytes(raw[:8], "little")
    metadata = {**metadata, "sshs_model_hash": hashlib.sha256(raw[8 + length :]).hexdigest()}
    with replacing(file) as temporary:
        save_file(tensors, temporary, metadata)
