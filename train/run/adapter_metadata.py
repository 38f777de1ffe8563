"""What an adapter file says of the run that trained it, in kohya's and modelspec's keys."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from train.adapters.metadata import FAMILIES, SPEC, model_facts, prep_version
from train.adapters.option_rules import adapter_config
from train.adapters.options import AdapterOptions
from train.adapters.registry import ALGORITHMS
from train.data.options import AugmentationOptions, CaptionOptions
from train.models.options import PrecisionOptions, TextOptions
from train.optimization.options import NoiseOptions, ObjectiveOptions
from train.optimization.schedules import warmup_updates
from train.run.model_files import ModelFile

PLAIN = ("algo", "conv_dim", "conv_alpha")
"""Arguments that kohya's own LoRA on linear layers does not have."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainedFacts:
    """What is known of a run beside its options, at the point where its adapter is saved.

    `family` is sd1, sd2 or sdxl; `steps` and `epochs` are those done, `planned` the batches and epochs of the whole run;
    `held_out` counts images kept for validation, `buckets` the images of each (width, height); `frequency` is each
    concept's tags with how often they stand, `repeats` those of each of its images; `resolution` the side of the square that
    the buckets have the area of, 0 where it is not known; `optimizer` its class and arguments; `zero_terminal_snr` whether
    the noise schedule ended in pure noise, as asked for or by the base model.
    """

    family: str
    v_prediction: bool
    steps: int
    epochs: int
    planned: tuple[int, int]
    images: int
    reg_images: int
    held_out: int = 0
    buckets: Mapping[tuple[int, int], int]
    frequency: Mapping[str, Mapping[str, int]]
    repeats: Mapping[str, Sequence[float]]
    resolution: int
    base_digest: str
    optimizer: str
    gradient_accumulation_steps: int
    updates: tuple[int, int]
    """How often the weights were updated, and how often in the whole run as it was planned."""
    triggers: Sequence[str]
    zero_terminal_snr: bool = False


def model_metadata(model: ModelFile, vae: ModelFile | None, facts: TrainedFacts) -> dict[str, Any]:
    """The base model, and the VAE where it is another than its own; hashes where they are single files."""
    hashes = {
        "ss_sd_model_hash": model.legacy_hash,
        "ss_new_sd_model_hash": model.sha256,
        "ss_vae_name": vae.name if vae else "",
        "ss_vae_hash": vae.legacy_hash if vae else "",
        "ss_new_vae_hash": vae.sha256 if vae else "",
    }
    return {
        **model_facts(facts.family, facts.v_prediction),
        "ss_sd_model_name": model.name,
        **{key: value for key, value in hashes.items() if value},
    }


def network_metadata(options: AdapterOptions) -> dict[str, Any]:
    """What kind of adapter it is, as readers call it; the arguments are LyCORIS' own, as far as they differ from its defaults."""
    algorithm = ALGORITHMS[options.algorithm]
    plain = algorithm.noted_as_kohya and not (options.dora or options.train_norm)
    chosen = {
        "algo": algorithm.lycoris_name,
        "conv_dim": options.conv_rank,
        "conv_alpha": options.conv_alpha,
        **algorithm.network_args(adapter_config(options)),
        "dora_wd": options.dora or None,
        "wd_on_output": False if options.dora else None,
        "rs_lora": options.rank_stabilized or None,
        "use_tucker": options.tucker or None,
        "train_norm": options.train_norm or None,
    }
    arguments = {key: value for key, value in chosen.items() if value is not None and not (plain and key in PLAIN)}
    dropouts = {"rank_dropout": options.rank_dropout, "module_dropout": options.module_dropout}
    return {
        "ss_network_module": algorithm.kohya_module if plain else "lycoris.kohya",
        "ss_network_dim": options.rank,
        "ss_network_alpha": options.alpha,
        "ss_network_dropout": options.network_dropout or None,
        "ss_network_args": arguments | {key: share for key, share in dropouts.items() if share},
    }


def run_metadata(name: str, seed: int, facts: TrainedFacts) -> dict[str, Any]:
    batches, epochs = facts.planned
    return {
        "ss_output_name": name,
        "ss_epoch": facts.epochs,
        "ss_num_epochs": epochs,
        "ss_max_train_steps": facts.updates[1],
        "ss_num_batches_per_epoch": batches // max(1, epochs),
        "ss_seed": seed,
    }


def caption_metadata(captions: CaptionOptions, text: TextOptions) -> dict[str, Any]:
    return {
        "ss_clip_skip": text.clip_skip,
        "ss_max_token_length": None if text.max_tokens == 75 else text.max_tokens,
        "ss_shuffle_caption": captions.shuffle_tags,
        "ss_keep_tokens": 1 if captions.keep_tags is None else captions.keep_tags,
        "ss_caption_dropout_rate": captions.caption_dropout,
        "ss_caption_dropout_every_n_epochs": captions.caption_dropout_epochs,
        "ss_caption_tag_dropout_rate": captions.tag_dropout,
    }


def folder_metadata(facts: TrainedFacts) -> dict[str, Any]:
    """Concepts as kohya's folders, each with its images and how often one of them is shown in an epoch on the average, and
    the tags in lower case, as kohya counts them."""
    frequency: dict[str, Counter[str]] = {}
    for concept, tags in facts.frequency.items():
        counted = frequency.setdefault(concept, Counter())
        for tag, count in tags.items():
            counted[tag.lower()] += count
    side = facts.resolution
    return {
        "ss_dataset_dirs": {
            concept: {"n_repeats": whole(sum(repeats) / len(repeats)), "img_count": len(repeats)}
            for concept, repeats in facts.repeats.items()
        },
        **({"ss_resolution": f"({side}, {side})"} if side else {}),
        "ss_tag_frequency": frequency,
    }


def whole(value: float) -> int | float:
    """A figure without a fraction where it has none."""
    return int(value) if value == int(value) else round(value, 4)


def data_metadata(
    augmentation: AugmentationOptions, batch_size: int, processes: int, facts: TrainedFacts
) -> dict[str, Any]:
    sizes = {
        str(index): {"resolution": list(size), "count": count}
        for index, (size, count) in enumerate(sorted(facts.buckets.items()))
    }
    crop = None if augmentation.face_crop is None else ",".join(f"{each:g}" for each in augmentation.face_crop)
    return {
        "ss_num_train_images": facts.images,
        "ss_num_reg_images": facts.reg_images,
        "ss_num_validation_images": facts.held_out,
        "ss_batch_size_per_device": max(1, batch_size // processes),
        "ss_total_batch_size": batch_size,
        "ss_cache_latents": True,
        "ss_flip_aug": augmentation.flip,
        "ss_color_aug": augmentation.color_jitter > 0,
        "ss_random_crop": augmentation.random_crop,
        "ss_face_crop_aug_range": crop,
        "ss_enable_bucket": True,
        "ss_bucket_info": {"buckets": sizes},
        **folder_metadata(facts),
    }


def spec_metadata(name: str, clip_skip: int, facts: TrainedFacts) -> dict[str, Any]:
    """Stability AI's model metadata standard, which says about a file what it is for and by whom it was made."""
    kind, buckets = FAMILIES[facts.family, facts.v_prediction], facts.buckets
    common = max(buckets, key=lambda size: (buckets[size], size)) if buckets else (kind.resolution, kind.resolution)
    return {
        "modelspec.sai_model_spec": SPEC,
        "modelspec.architecture": f"{kind.architecture}/lora",
        "modelspec.implementation": kind.implementation,
        "modelspec.implementation_version": f"lora-prep/{prep_version()}",
        "modelspec.title": name,
        "modelspec.resolution": f"{common[0]}x{common[1]}",
        "modelspec.trigger_phrase": ", ".join(facts.triggers),
        "modelspec.prediction_type": "v" if facts.v_prediction else "epsilon",
        "modelspec.timestep_range": "0,1000",
        **({} if facts.family == "sdxl" else {"modelspec.encoder_layer": clip_skip}),
    }


def optimization_metadata(
    lrs: tuple[float, float | None], scheduler: str, warmup: tuple[int, float], facts: TrainedFacts
) -> dict[str, Any]:
    """`lrs` are the UNet's and the text encoder's, None where it is not trained; `warmup` its steps or its share."""
    unet, text = lrs
    return {
        "ss_steps": facts.updates[0],
        "ss_learning_rate": unet,
        "ss_unet_lr": unet,
        "ss_text_encoder_lr": text,
        "ss_optimizer": facts.optimizer,
        "ss_lr_scheduler": scheduler,
        "ss_lr_warmup_steps": warmup_updates(*warmup, facts.updates[1]),
        "ss_gradient_accumulation_steps": facts.gradient_accumulation_steps,
    }


def arithmetic_metadata(precision: PrecisionOptions, max_grad_norm: float, scale_weight_norms: float) -> dict[str, Any]:
    return {
        "ss_gradient_checkpointing": precision.gradient_checkpointing,
        "ss_max_grad_norm": max_grad_norm,
        "ss_scale_weight_norms": scale_weight_norms or None,
        "ss_mixed_precision": precision.mixed_precision,
    }


def objective_metadata(objective: ObjectiveOptions, noise: NoiseOptions, zero_terminal_snr: bool) -> dict[str, Any]:
    rounded = objective.loss in ("huber", "smooth_l1")
    return {
        "ss_noise_offset": noise.noise_offset or None,
        "ss_noise_offset_random_strength": noise.noise_offset_random,
        "ss_adaptive_noise_scale": noise.adaptive_noise_scale or None,
        "ss_multires_noise_iterations": noise.multires_iterations or None,
        "ss_multires_noise_discount": noise.multires_discount,
        "ss_ip_noise_gamma": noise.ip_noise_gamma or None,
        "ss_zero_terminal_snr": zero_terminal_snr,
        "ss_min_snr_gamma": objective.min_snr_gamma if objective.weighting == "min-snr" else None,
        "ss_debiased_estimation": objective.weighting == "debiased",
        "ss_loss_type": objective.loss,
        "ss_huber_schedule": objective.huber_schedule if rounded else None,
        "ss_huber_c": objective.huber_c if rounded else None,
        "ss_prior_loss_weight": objective.prior_loss_weight,
    }
