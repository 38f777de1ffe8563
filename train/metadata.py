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
        "ss_steps": steps,
        "ss_num_epochs": epochs,
        "ss_learning_rate": recipe.learning_rate,
        "ss_unet_lr": recipe.learning_rate,
        "ss_text_encoder_lr": recipe.text_learning_rate if recipe.train_text_encoder else None,
        "ss_lr_scheduler": recipe.scheduler,
        "ss_optimizer": "torch.optim.AdamW",
        "ss_seed": recipe.seed,
        "ss_batch_size_per_device": recipe.batch_size,
        "ss_clip_skip": recipe.clip_skip,
        "ss_min_snr_gamma": recipe.min_snr_gamma if recipe.weighting == "min-snr" else None,
        "ss_debiased_estimation": recipe.weighting == "debiased",
        "ss_prior_loss_weight": recipe.prior_loss_weight,
        "ss_num_train_images": images,
        "ss_num_reg_images": twins,
        "ss_mixed_precision": recipe.mixed_precision,
        "ss_shuffle_caption": recipe.shuffle_tags,
        "ss_keep_tokens": 1 if recipe.keep_tags is None else recipe.keep_tags,
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
