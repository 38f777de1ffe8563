"""What an adapter file says about itself, in the keys A1111, Forge and ComfyUI read."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from torch import Tensor

from train.adapterfiles.peftalphas import PEFT
from train.adapterfiles.writing import writing
from train.recipe import Recipe
from train.schedules import updates_of, warmup_updates

SPEC = "1.0.1"
HASHES = ("sshs_model_hash", "sshs_legacy_hash", "modelspec.hash_sha256")
"""Keys that hold hashes of a file's weights."""
SINGLE = (".safetensors", ".ckpt")
LYCORIS_NAMES = {"oft": "diag-oft"}
PLAIN = ("algo", "conv_dim", "conv_alpha")
"""Arguments that kohya's own LoRA on linear layers does not have."""


@dataclass(frozen=True, slots=True)
class Kind:
    """How readers know a family of base models: kohya's version name, and the model spec's architecture and layout."""

    version: str
    architecture: str
    implementation: str
    resolution: int


DIFFUSERS, STABILITY = "diffusers", "https://github.com/Stability-AI/generative-models"
KINDS = {
    ("sd1", False): Kind("sd_v1", "stable-diffusion-v1", DIFFUSERS, 512),
    ("sd1", True): Kind("sd_v1", "stable-diffusion-v1", DIFFUSERS, 512),
    ("sd2", False): Kind("sd_v2", "stable-diffusion-v2-512", DIFFUSERS, 512),
    ("sd2", True): Kind("sd_v2_v", "stable-diffusion-v2-768-v", DIFFUSERS, 768),
    ("sdxl", False): Kind("sdxl_base_v1-0", "stable-diffusion-xl-v1-base", STABILITY, 1024),
    ("sdxl", True): Kind("sdxl_base_v1-0", "stable-diffusion-xl-v1-base", STABILITY, 1024),
}


def adapter_metadata(
    recipe: Recipe,
    *,
    v2: bool,
    v_prediction: bool,
    steps: int,
    epochs: int,
    planned: tuple[int, int],
    images: int,
    twins: int,
    buckets: dict[tuple[int, int], int],
    frequency: dict[str, dict[str, int]],
    base_digest: str,
    optimizer: str,
    accumulate: int,
    triggers: list[str],
    family: str = "",
    held_out: int = 0,
    network_args: Mapping[str, Any] | None = None,
) -> dict[str, str]:
    """The `ss_*` keys kohya's trainer writes and readers look for, and the model spec's. All values are strings.

    `family` is sd1, sd2 or sdxl, told by `v2` if not given; `network_args` what the algorithm was asked beside rank and
    alpha; `planned` the batches and epochs of the whole run; `held_out` the pictures kept for validation. Nothing tells when
    it was made, so that a run done again gives the same bytes; run.json does.
    """
    family = family or ("sd2" if v2 else "sd1")
    facts: dict[str, Any] = {
        **_network(recipe, network_args),
        **model_facts(family, v_prediction),
        "ss_sd_model_name": recipe.base,
        **({"ss_new_sd_model_hash": base_digest} if Path(recipe.base).suffix in SINGLE else {}),
        **_run(recipe, epochs, planned, accumulate),
        **_optimization(recipe, optimizer, steps, planned[0], accumulate),
        **_noise_and_loss(recipe),
        **_captions(recipe),
        **_data(recipe, images, twins, held_out, buckets, frequency),
        **_spec(recipe, KINDS[family, v_prediction], buckets, triggers, v_prediction),
        "prep_version": _version(),
        "prep_base_digest": base_digest,
    }
    return _texts(facts)


def model_facts(family: str, v_prediction: bool) -> dict[str, Any]:
    """What A1111 sorts files by: without these it takes a file for SD 1.x, and hides one of another version."""
    return {"ss_base_model_version": KINDS[family, v_prediction].version, "ss_v2": family == "sd2"}


def renewed(metadata: Mapping[str, str], name: str, family: str, changes: Mapping[str, Any]) -> dict[str, str]:
    """Metadata of a file made from another: what is told stays, with its new name; hashes of the old weights go.

    A version of the base model that is missing is written for a `family` that is known.
    """
    gone = (*HASHES, "format", PEFT)
    kept = {key: value for key, value in metadata.items() if key not in gone}
    v_prediction = metadata.get("modelspec.prediction_type") == "v"
    model = model_facts(family, v_prediction) if family and "ss_base_model_version" not in metadata else {}
    facts = {
        "ss_output_name": name,
        "modelspec.title": name,
        "modelspec.sai_model_spec": SPEC,
        "prep_version": _version(),
    }
    return kept | _texts({**model, **facts, **changes})


def _texts(facts: Mapping[str, Any]) -> dict[str, str]:
    return {
        key: value
        if isinstance(value, str)
        else json.dumps(value, ensure_ascii=False)
        if isinstance(value, dict | list)
        else str(value)
        for key, value in facts.items()
    }


def _network(recipe: Recipe, more: Mapping[str, Any] | None) -> dict[str, Any]:
    """What readers call an adapter's shape; the arguments are LyCORIS' own, as far as they differ from its defaults."""
    plain = recipe.algorithm == "lora" and not (recipe.dora or recipe.train_norm)
    chosen = {
        "algo": LYCORIS_NAMES.get(recipe.algorithm, recipe.algorithm),
        "conv_dim": recipe.conv_rank,
        "conv_alpha": recipe.conv_alpha,
        "factor": recipe.factor if recipe.algorithm == "lokr" else None,
        "decompose_both": recipe.decompose_both or None,
        "full_matrix": recipe.full_matrix or None,
        "dora_wd": recipe.dora or None,
        "wd_on_output": False if recipe.dora else None,
        "rs_lora": recipe.rank_stabilized or None,
        "use_tucker": recipe.tucker or None,
        "train_norm": recipe.train_norm or None,
        "block_size": recipe.rank_unit if recipe.algorithm == "dylora" else None,
    }
    arguments = {key: value for key, value in chosen.items() if value is not None and not (plain and key in PLAIN)}
    dropouts = {"rank_dropout": recipe.rank_dropout, "module_dropout": recipe.module_dropout}
    return {
        "ss_network_module": "networks.lora" if plain else "lycoris.kohya",
        "ss_network_dim": recipe.rank,
        "ss_network_alpha": recipe.alpha,
        "ss_network_dropout": recipe.neuron_dropout or None,
        "ss_network_args": arguments | {key: share for key, share in dropouts.items() if share} | dict(more or {}),
    }


def _run(recipe: Recipe, epoch: int, planned: tuple[int, int], accumulate: int) -> dict[str, Any]:
    batches, epochs = planned
    return {
        "ss_output_name": recipe.name,
        "ss_epoch": epoch,
        "ss_num_epochs": epochs,
        "ss_max_train_steps": updates_of(batches, accumulate),
        "ss_num_batches_per_epoch": batches // max(1, epochs),
        "ss_seed": recipe.seed,
    }


def _captions(recipe: Recipe) -> dict[str, Any]:
    return {
        "ss_clip_skip": recipe.clip_skip,
        "ss_max_token_length": None if recipe.max_tokens == 75 else recipe.max_tokens,
        "ss_shuffle_caption": recipe.shuffle_tags,
        "ss_keep_tokens": 1 if recipe.keep_tags is None else recipe.keep_tags,
        "ss_caption_dropout_rate": recipe.caption_dropout,
        "ss_caption_dropout_every_n_epochs": recipe.caption_dropout_epochs,
        "ss_caption_tag_dropout_rate": recipe.tag_dropout,
    }


def _data(
    recipe: Recipe,
    images: int,
    twins: int,
    held_out: int,
    buckets: Mapping[tuple[int, int], int],
    frequency: dict[str, dict[str, int]],
) -> dict[str, Any]:
    sizes = {
        str(index): {"resolution": list(size), "count": count}
        for index, (size, count) in enumerate(sorted(buckets.items()))
    }
    crop = None if recipe.face_crop is None else ",".join(f"{each:g}" for each in recipe.face_crop)
    return {
        "ss_num_train_images": images,
        "ss_num_reg_images": twins,
        "ss_num_validation_images": held_out,
        "ss_batch_size_per_device": max(1, recipe.batch_size // recipe.processes),
        "ss_total_batch_size": recipe.batch_size,
        "ss_cache_latents": True,
        "ss_flip_aug": recipe.flip,
        "ss_color_aug": recipe.color_jitter > 0,
        "ss_random_crop": recipe.random_crop,
        "ss_face_crop_aug_range": crop,
        "ss_enable_bucket": True,
        "ss_bucket_info": {"buckets": sizes},
        "ss_tag_frequency": frequency,
    }


def _spec(
    recipe: Recipe,
    kind: Kind,
    buckets: Mapping[tuple[int, int], int],
    triggers: list[str],
    v_prediction: bool,
) -> dict[str, Any]:
    """Stability AI's model metadata standard, which says about a file what it is for and by whom it was made."""
    common = max(buckets, key=lambda size: (buckets[size], size)) if buckets else (kind.resolution, kind.resolution)
    return {
        "modelspec.sai_model_spec": SPEC,
        "modelspec.architecture": f"{kind.architecture}/lora",
        "modelspec.implementation": kind.implementation,
        "modelspec.implementation_version": f"lora-prep/{_version()}",
        "modelspec.title": recipe.name,
        "modelspec.resolution": f"{common[0]}x{common[1]}",
        "modelspec.trigger_phrase": ", ".join(triggers),
        "modelspec.prediction_type": "v" if v_prediction else "epsilon",
        "modelspec.timestep_range": "0,1000",
        "modelspec.encoder_layer": recipe.clip_skip,
    }


def _optimization(recipe: Recipe, optimizer: str, steps: int, planned: int, accumulate: int) -> dict[str, Any]:
    unet, text = recipe.rates
    warmup = warmup_updates(recipe.warmup_steps, recipe.warmup_share, updates_of(planned, accumulate))
    return {
        "ss_steps": updates_of(steps, accumulate),
        "ss_learning_rate": unet,
        "ss_unet_lr": unet,
        "ss_text_encoder_lr": text if recipe.train_text_encoder else None,
        "ss_optimizer": optimizer,
        "ss_lr_scheduler": recipe.schedule,
        "ss_lr_warmup_steps": warmup,
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
    """Write the file in one step, with the hashes of its weights that A1111 knows files by."""
    with writing(file) as out:
        for key, tensor in tensors.items():
            out.add(key, tensor)
        out.metadata |= metadata
