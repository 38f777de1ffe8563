"""Options of kohya-ss/sd-scripts that have no equivalent in `prep train`: why, and what does the same."""

from __future__ import annotations

from collections.abc import Mapping


def _all(why: str, *names: str) -> dict[str, str]:
    return dict.fromkeys(names, why)


SWITCHES: Mapping[str, str] = {
    **_all("latents are always cached, by content", "cache_latents", "cache_latents_to_disk", "skip_cache_check"),
    **_all(
        "what a frozen text encoder says is always kept, in memory",
        "cache_text_encoder_outputs",
        "cache_text_encoder_outputs_to_disk",
    ),
    **_all("attention is always computed by PyTorch's sdpa", "xformers", "sdpa", "mem_eff_attn", "split_attn"),
    **_all("buckets are decided by prep bucket, always", "enable_bucket", "bucket_no_upscale"),
    **_all("the base model's kind is read from its files", "v2", "sdxl"),
    **_all(
        "the adapter is always trained in float32; use mixed_precision",
        "full_fp16",
        "full_bf16",
    ),
    **_all("the UNet is always adapted", "network_train_text_encoder_only"),
    **_all(
        "the training state is always saved, as often as save_state_every says, and taken up by itself",
        "save_state",
        "save_state_on_train_end",
        "save_state_to_huggingface",
    ),
    **_all("sample images are always made at start and end", "sample_at_first"),
    **_all(
        "weights are read one at a time, and what saves memory is chosen for the card; see vram",
        "lowram",
        "cpu_offload_checkpointing",
        "fused_backward_pass",
    ),
    **_all("latents come from the cache, without workers", "persistent_data_loader_workers"),
    **_all("ranks are those that are asked for; give rank and conv_rank", "dim_from_weights"),
    **_all("metadata are always written", "no_metadata"),
    **_all("captions are read without weights", "weighted_captions"),
    **_all("the loss is measured on the whole image", "masked_loss", "alpha_mask"),
    **_all(
        "there is no such weighting; use weighting = min-snr or debiased",
        "scale_v_pred_loss_like_noise_pred",
    ),
    **_all("the strength is always the same; leave it out", "ip_noise_gamma_random_strength"),
    **_all("nothing is uploaded", "async_upload", "resume_from_huggingface"),
    **_all(
        "one process for each GPU is enough: use processes",
        "deepspeed",
        "ddp_gradient_as_bucket_view",
        "ddp_static_graph",
    ),
    **_all("see what is trained on with: prep report SET", "debug_dataset"),
    **_all("captions' tags are shown and shuffled as curated", "cache_info", "recursive"),
    **_all("files are read as they are", "disable_mmap_load_safetensors", "lowvram"),
}
VALUES: Mapping[str, str] = {
    **_all("sizes are decided by prep bucket: set resolution under [bucket]", "resolution"),
    **_all(
        "sizes are decided by prep bucket; see prep bucket --help",
        "min_bucket_reso",
        "max_bucket_reso",
        "bucket_reso_steps",
        "resize_interpolation",
    ),
    **_all("images are brought in by prep flatten: give it the folder, or sources under [set]", "train_data_dir"),
    **_all("regularization images are chosen or made by prep regularize", "reg_data_dir"),
    **_all(
        "a set is made by prep flatten, and its captions by prep tag and curate",
        "in_json",
        "dataset_config",
        "dataset_class",
        "caption_extension",
        "caption_extention",
        "caption_separator",
        "class_tokens",
    ),
    **_all("repeats are decided by prep balance", "dataset_repeats", "num_repeats"),
    **_all("settings stand in prep.toml, under [train]", "config_file", "output_config"),
    **_all("files go to SET/runs/NAME; see name", "output_dir", "logging_dir", "metadata_title"),
    **_all(
        "a killed run is taken up by itself, by its name",
        "resume",
        "initial_epoch",
        "initial_step",
        "skip_until_initial_step",
    ),
    **_all("keep_last counts snapshots, not steps: give keep_last", "save_last_n_steps"),
    **_all("one state is kept, the last; see save_state_every", "save_last_n_epochs_state", "save_last_n_steps_state"),
    **_all("give save_every_epochs", "save_n_epoch_ratio"),
    **_all("latents come from the cache, without workers", "max_data_loader_n_workers"),
    **_all("latents are encoded one size at a time, as many as fit", "vae_batch_size"),
    **_all("every timestep is trained", "min_timestep", "max_timestep"),
    **_all("there is no such weighting; use weighting = min-snr or debiased", "v_pred_like_loss"),
    **_all("the adapter trains at strength 1", "network_multiplier"),
    **_all("merge them first with: prep adapter merge", "base_weights", "base_weights_multiplier"),
    **_all("the text encoder is trained to the end, or not at all", "stop_text_encoder_training"),
    **_all("the schedule goes to the end of the run", "lr_decay_steps", "lr_scheduler_timescale"),
    **_all("give scheduler", "lr_scheduler_type", "lr_scheduler_args"),
    **_all("give validation_every", "validate_every_n_epochs"),
    **_all("what is held out goes by seed", "validation_seed"),
    **_all("give validation_images and validation_times", "max_validation_steps"),
    **_all("the tokenizer is found beside the base model, or by tokenizer", "tokenizer_cache_dir"),
    **_all("the UNet is not compiled", "dynamo_backend"),
    **_all("one process for each GPU is enough: use processes", "ddp_timeout", "zero_stage"),
    **_all(
        "figures are in SET/runs/NAME, and with tensorboard = true for TensorBoard",
        "log_prefix",
        "log_tracker_name",
        "log_tracker_config",
        "log_config",
        "wandb_run_name",
        "wandb_api_key",
        "console_log_level",
        "console_log_file",
    ),
    **_all(
        "metadata are those of the run",
        "training_comment",
        "metadata_author",
        "metadata_description",
        "metadata_license",
        "metadata_tags",
    ),
    **_all(
        "nothing is uploaded",
        "huggingface_repo_id",
        "huggingface_repo_type",
        "huggingface_path_in_repo",
        "huggingface_token",
        "huggingface_repo_visibility",
    ),
    **_all("the dropouts are network_dropout, rank_dropout and module_dropout", "dropout"),
    **_all("the loss is measured without conditioning images", "conditioning_data_dir"),
}
REFUSED: Mapping[str, str] = {**SWITCHES, **VALUES}
REFUSED_SWITCHES = frozenset(SWITCHES)
