"""What an adapter file says of the run that trained it, in kohya's and modelspec's keys."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from train.adapters.metadata import FAMILIES, SINGLE, SPEC, FamilyNames, model_facts, prep_version, texts
from train.adapters.option_rules import adapter_config
from train.adapters.registry import ALGORITHMS
from train.optimization.schedules import updates_of, warmup_updates
from train.options.recipe import Recipe

PLAIN = ("algo", "conv_dim", "conv_alpha")
"""Arguments that kohya's own LoRA on linear layers does not have."""


def adapter_metadata(
    recipe: Recipe,
    *,
    v2: bool,
    v_prediction: bool,
    steps: int,
    epochs: int,
    planned: tuple[int, int],
    images: int,
    reg_images: int,
    buckets: dict[tuple[int, int], int],
    frequency: dict[str, dict[str, int]],
    base_digest: str,
    optimizer: str,
    gradient_accumulation_steps: int,
    triggers: list[str],
    family: str = "",
    held_out: int = 0,
    network_args: Mapping[str, Any] | None = None,
) -> dict[str, str]:
    """The `ss_*` keys kohya's trainer writes and readers look for, and the model spec's. All values are strings.

    `family` is sd1, sd2 or sdxl, told by `v2` if not given; `network_args` what the algorithm was asked beside rank and
    alpha; `planned` the batches and epochs of the whole run; `held_out` the images kept for validation. Nothing tells when
    it was made, so that a run done again gives the same bytes; run.json does.
    """
    family = family or ("sd2" if v2 else "sd1")
    facts: dict[str, Any] = {
        **_network(recipe, network_args),
        **model_facts(family, v_prediction),
        "ss_sd_model_name": recipe.model.base,
        **({"ss_new_sd_model_hash": base_digest} if Path(recipe.model.base).suffix in SINGLE else {}),
        **_run(recipe, epochs, planned, gradient_accumulation_steps),
        **_optimization(recipe, optimizer, steps, planned[0], gradient_accumulation_steps),
        **_noise_and_loss(recipe),
        **_captions(recipe),
        **_data(recipe, images, reg_images, held_out, buckets, frequency),
        **_spec(recipe, FAMILIES[family, v_prediction], buckets, triggers, v_prediction),
        "prep_version": prep_version(),
        "prep_base_digest": base_digest,
    }
    return texts(facts)


def _network(recipe: Recipe, more: Mapping[str, Any] | None) -> dict[str, Any]:
    """What readers call an adapter's shape; the arguments are LyCORIS' own, as far as they differ from its defaults."""
    algorithm = ALGORITHMS[recipe.adapter.algorithm]
    plain = algorithm.kohya_module and not (recipe.adapter.dora or recipe.adapter.train_norm)
    chosen = {
        "algo": algorithm.lycoris_name,
        "conv_dim": recipe.adapter.conv_rank,
        "conv_alpha": recipe.adapter.conv_alpha,
        **algorithm.network_args(adapter_config(recipe.adapter)),
        "dora_wd": recipe.adapter.dora or None,
        "wd_on_output": False if recipe.adapter.dora else None,
        "rs_lora": recipe.adapter.rank_stabilized or None,
        "use_tucker": recipe.adapter.tucker or None,
        "train_norm": recipe.adapter.train_norm or None,
    }
    arguments = {key: value for key, value in chosen.items() if value is not None and not (plain and key in PLAIN)}
    dropouts = {"rank_dropout": recipe.adapter.rank_dropout, "module_dropout": recipe.adapter.module_dropout}
    return {
        "ss_network_module": "networks.lora" if plain else "lycoris.kohya",
        "ss_network_dim": recipe.adapter.rank,
        "ss_network_alpha": recipe.adapter.alpha,
        "ss_network_dropout": recipe.adapter.network_dropout or None,
        "ss_network_args": arguments | {key: share for key, share in dropouts.items() if share} | dict(more or {}),
    }


def _run(recipe: Recipe, epoch: int, planned: tuple[int, int], gradient_accumulation_steps: int) -> dict[str, Any]:
    batches, epochs = planned
    return {
        "ss_output_name": recipe.run.name,
        "ss_epoch": epoch,
        "ss_num_epochs": epochs,
        "ss_max_train_steps": updates_of(batches, gradient_accumulation_steps),
        "ss_num_batches_per_epoch": batches // max(1, epochs),
        "ss_seed": recipe.run.seed,
    }


def _captions(recipe: Recipe) -> dict[str, Any]:
    return {
        "ss_clip_skip": recipe.text.clip_skip,
        "ss_max_token_length": None if recipe.text.max_tokens == 75 else recipe.text.max_tokens,
        "ss_shuffle_caption": recipe.captions.shuffle_tags,
        "ss_keep_tokens": 1 if recipe.captions.keep_tags is None else recipe.captions.keep_tags,
        "ss_caption_dropout_rate": recipe.captions.caption_dropout,
        "ss_caption_dropout_every_n_epochs": recipe.captions.caption_dropout_epochs,
        "ss_caption_tag_dropout_rate": recipe.captions.tag_dropout,
    }


def _data(
    recipe: Recipe,
    images: int,
    reg_images: int,
    held_out: int,
    buckets: Mapping[tuple[int, int], int],
    frequency: dict[str, dict[str, int]],
) -> dict[str, Any]:
    sizes = {
        str(index): {"resolution": list(size), "count": count}
        for index, (size, count) in enumerate(sorted(buckets.items()))
    }
    crop = (
        None
        if recipe.augmentation.face_crop is None
        else ",".join(f"{each:g}" for each in recipe.augmentation.face_crop)
    )
    return {
        "ss_num_train_images": images,
        "ss_num_reg_images": reg_images,
        "ss_num_validation_images": held_out,
        "ss_batch_size_per_device": max(1, recipe.batches.batch_size // recipe.run.processes),
        "ss_total_batch_size": recipe.batches.batch_size,
        "ss_cache_latents": True,
        "ss_flip_aug": recipe.augmentation.flip,
        "ss_color_aug": recipe.augmentation.color_jitter > 0,
        "ss_random_crop": recipe.augmentation.random_crop,
        "ss_face_crop_aug_range": crop,
        "ss_enable_bucket": True,
        "ss_bucket_info": {"buckets": sizes},
        "ss_tag_frequency": frequency,
    }


def _spec(
    recipe: Recipe,
    kind: FamilyNames,
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
        "modelspec.implementation_version": f"lora-prep/{prep_version()}",
        "modelspec.title": recipe.run.name,
        "modelspec.resolution": f"{common[0]}x{common[1]}",
        "modelspec.trigger_phrase": ", ".join(triggers),
        "modelspec.prediction_type": "v" if v_prediction else "epsilon",
        "modelspec.timestep_range": "0,1000",
        "modelspec.encoder_layer": recipe.text.clip_skip,
    }


def _optimization(
    recipe: Recipe, optimizer: str, steps: int, planned: int, gradient_accumulation_steps: int
) -> dict[str, Any]:
    unet, text = recipe.rates
    warmup = warmup_updates(
        recipe.schedule.warmup_steps, recipe.schedule.warmup_share, updates_of(planned, gradient_accumulation_steps)
    )
    return {
        "ss_steps": updates_of(steps, gradient_accumulation_steps),
        "ss_learning_rate": unet,
        "ss_unet_lr": unet,
        "ss_text_encoder_lr": text if recipe.adapter.train_text_encoder else None,
        "ss_optimizer": optimizer,
        "ss_lr_scheduler": recipe.scheduler,
        "ss_lr_warmup_steps": warmup,
        "ss_gradient_accumulation_steps": gradient_accumulation_steps,
        "ss_gradient_checkpointing": recipe.precision.gradient_checkpointing,
        "ss_max_grad_norm": recipe.optimizer.max_grad_norm,
        "ss_scale_weight_norms": recipe.adapter.scale_weight_norms or None,
        "ss_mixed_precision": recipe.precision.mixed_precision,
    }


def _noise_and_loss(recipe: Recipe) -> dict[str, Any]:
    rounded = recipe.objective.loss in ("huber", "smooth_l1")
    return {
        "ss_noise_offset": recipe.noise.noise_offset or None,
        "ss_noise_offset_random_strength": recipe.noise.noise_offset_random,
        "ss_adaptive_noise_scale": recipe.noise.adaptive_noise_scale or None,
        "ss_multires_noise_iterations": recipe.noise.multires_iterations or None,
        "ss_multires_noise_discount": recipe.noise.multires_discount,
        "ss_ip_noise_gamma": recipe.noise.ip_noise_gamma or None,
        "ss_zero_terminal_snr": recipe.noise.zero_terminal_snr,
        "ss_min_snr_gamma": recipe.objective.min_snr_gamma if recipe.objective.weighting == "min-snr" else None,
        "ss_debiased_estimation": recipe.objective.weighting == "debiased",
        "ss_loss_type": recipe.objective.loss,
        "ss_huber_schedule": recipe.objective.huber_schedule if rounded else None,
        "ss_huber_c": recipe.objective.huber_c if rounded else None,
        "ss_prior_loss_weight": recipe.objective.prior_loss_weight,
    }
