"""kohya's names as flags and keys of prep.toml: what becomes of each, and what has no place here."""

from pathlib import Path

import click
import pytest
from click.testing import CliRunner

from pipeline.cli.options import given_flags, options_from
from pipeline.config.declared import declared
from pipeline.config.settings import Settings, load_settings, resolved
from pipeline.core.errors import PrepError
from pipeline.core.flat import flat
from train.options.kohya_names import KOHYA, RENAMED
from train.options.recipe import Recipe

OURS = {setting.name for setting in declared(Recipe)}


def taken(**given) -> Recipe:
    return resolved("train", Recipe, Settings(stages={"train": given}), {}).options


def parsed(*arguments: str) -> dict:
    """What flags on the command line say."""
    found = {}

    @click.command(params=options_from(Recipe))
    @click.pass_context
    def command(context, **_):
        found.update(given_flags(context, Recipe))

    done = CliRunner().invoke(command, list(arguments))
    assert done.exit_code == 0, done.output
    return found


def with_flags(*arguments: str) -> Recipe:
    return resolved("train", Recipe, Settings(), parsed(*arguments)).options


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ({"network_dim": 32, "network_alpha": 16}, {"rank": 32, "alpha": 16.0}),
        ({"network_module": "lycoris.kohya", "network_args": ["algo=loha", "conv_dim=4", "conv_alpha=1"]},
         {"algorithm": "loha", "conv_rank": 4, "conv_alpha": 1.0}),
        ({"network_module": "networks.lora"}, {"algorithm": "lora"}),
        ({"network_module": "networks.lora", "network_args": ["conv_dim=8"]}, {"algorithm": "locon", "conv_rank": 8}),
        ({"network_args": ["algo=lokr", "factor=4", "full_matrix=True"]},
         {"algorithm": "lokr", "factor": 4, "full_matrix": True}),
        ({"network_args": ["algo=lora", "dropout=0.1"]}, {"algorithm": "lora", "network_dropout": 0.1}),
        ({"network_args": ["down_lr_weight=0,0,0,0,0,0,1,1,1,1,1,1"]}, {"blocks": {
            **{f"IN{n:02}": 0.0 for n in range(6)}, **{f"IN{n:02}": 1.0 for n in range(6, 12)}}}),
        ({"learning_rate": 1e-4}, {"unet_lr": 1e-4, "text_encoder_lr": None}),
        ({"learning_rate": 1e-4, "network_train_unet_only": False}, {"unet_lr": 1e-4, "text_encoder_lr": 1e-4}),
        ({"learning_rate": 1e-4, "train_text_encoder": True}, {"unet_lr": 1e-4, "text_encoder_lr": 1e-4}),
        ({"learning_rate": 1e-4, "unet_lr": 2e-4}, {"unet_lr": 2e-4}),
        ({"text_encoder_lr": [1e-4, 5e-5], "train_text_encoder": True},
         {"text_encoder_lr": 1e-4, "text_encoder_2_lr": 5e-5}),
        ({"lr_scheduler": "cosine_with_restarts", "lr_scheduler_num_cycles": 3},
         {"scheduler": "cosine_with_restarts", "num_cycles": 3}),
        ({"lr_scheduler": "cosine_with_min_lr", "lr_scheduler_min_lr_ratio": 0.1},
         {"scheduler": "cosine", "min_lr_ratio": 0.1}),
        ({"lr_warmup_steps": 100}, {"warmup_steps": 100}),
        ({"lr_warmup_steps": 0.05}, {"warmup_share": 0.05}),
        ({"lr_warmup_steps": "5%"}, {"warmup_share": 0.05}),
        ({"lr_scheduler": "polynomial", "lr_scheduler_power": 2}, {"scheduler": "polynomial", "power": 2.0}),
        ({"train_batch_size": 2, "max_train_epochs": 20}, {"batch_size": 2, "epochs": 20}),
        ({"max_train_steps": 1600}, {"steps": 1600}),
        ({"max_train_steps": 400, "gradient_accumulation_steps": 4}, {"steps": 1600}),
        ({"max_train_steps": 1600, "max_train_epochs": 3}, {"steps": None, "epochs": 3}),
        ({"save_every_n_epochs": 1, "save_last_n_epochs": 3}, {"save_every_epochs": 1, "keep_last": 3}),
        ({"save_every_n_steps": 100}, {"save_every_steps": 100}),
        ({"min_snr_gamma": 3}, {"weighting": "min-snr", "min_snr_gamma": 3.0}),
        ({"debiased_estimation_loss": True}, {"weighting": "debiased"}),
        ({"caption_dropout_rate": 0.1, "caption_tag_dropout_rate": 0.2}, {"caption_dropout": 0.1, "tag_dropout": 0.2}),
        ({"caption_dropout_every_n_epochs": 5}, {"caption_dropout_epochs": 5}),
        ({"keep_tokens": 2, "keep_tokens_separator": "||", "secondary_separator": ";;;"},
         {"keep_tags": 2, "keep_separator": "||", "group_separator": ";;;"}),
        ({"shuffle_caption": False}, {"shuffle_tags": False}),
        ({"token_warmup_min": 2, "token_warmup_step": 0.3}, {"tag_warmup_min": 2, "tag_warmup_share": 0.3}),
        ({"token_warmup_step": 50}, {"tag_warmup_steps": 50}),
        ({"enable_wildcard": True}, {"wildcards": True, "caption_lines": "one"}),
        ({"optimizer_type": "adafactor"}, {"optimizer": "AdaFactor"}),
        ({"optimizer_type": "Prodigy", "optimizer_args": ["d_coef=0.5", "betas=0.9,0.99"]},
         {"optimizer": "Prodigy", "optimizer_args": {"d_coef": "0.5", "betas": "0.9,0.99"}}),
        ({"use_8bit_adam": True}, {"optimizer": "AdamW8bit"}),
        ({"use_8bit_adam": False}, {"optimizer": "AdamW"}),
        ({"max_token_length": 225}, {"max_tokens": 225}),
        ({"noise_offset": 0.05, "noise_offset_random_strength": True},
         {"noise_offset": 0.05, "noise_offset_random": True}),
        ({"multires_noise_iterations": 6, "multires_noise_discount": 0.2},
         {"multires_iterations": 6, "multires_discount": 0.2}),
        ({"loss_type": "huber", "huber_c": 0.2}, {"loss": "huber", "huber_c": 0.2}),
        ({"v_parameterization": True}, {"prediction": "v_prediction"}),
        ({"no_half_vae": True}, {"vae_precision": "fp32"}),
        ({"save_precision": "float"}, {"save_precision": "fp32"}),
        ({"save_precision": "bf16"}, {"save_precision": "bf16"}),
        ({"save_model_as": "safetensors"}, {}),
        ({"output_name": "lumi", "pretrained_model_name_or_path": "x.safetensors"},
         {"name": "lumi", "base": "x.safetensors"}),
        ({"sample_every_n_epochs": 1, "sample_prompts": ("1girl",)},
         {"sample_every_epochs": 1, "sample_prompts": ("1girl",)}),
        ({"network_train_unet_only": True}, {"train_text_encoder": False}),
        ({"color_aug": True, "flip_aug": True}, {"color_jitter": 0.05, "flip": True}),
        ({"face_crop_aug_range": "1.0,1.5"}, {"face_crop": (1.0, 1.5)}),
        ({"log_with": "tensorboard"}, {"tensorboard": True}),
    ],
)  # fmt: skip
def test_kohyas_names_become_ours(given, expected):
    found = flat(taken(**given))
    assert {name: found[name] for name in expected} == expected


def test_the_plan_can_tell_what_became_of_each():
    said = taken(network_dim=32, learning_rate=1e-4, max_train_steps=9, max_train_epochs=2).translated
    assert said[0] == "network_dim = 32 → rank = 32"
    assert "max_train_steps = 9 → nothing, as max_train_epochs goes before it" in said
    assert taken(rank=32, min_snr_gamma=5.0).translated == ()


def test_a_recipe_is_the_same_by_whichever_names():
    assert taken(network_dim=32) == taken(rank=32)


@pytest.mark.parametrize(
    "given",
    [
        {"network_dim": 8, "rank": 8},
        {"lr_warmup_steps": 5, "warmup_steps": 5},
        {"network_args": ["conv_dim=4"], "conv_dim": 4},
        {"optimizer_type": "Lion", "use_8bit_adam": True},
        {"debiased_estimation_loss": True, "weighting": "none"},
    ],
)
def test_a_setting_by_two_names_is_refused(given):
    with pytest.raises(PrepError, match="are the same setting") as caught:
        taken(**given)
    assert all(name in caught.value.message for name in given)


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"cache_latents": True}, "cache_latents = true: latents are always cached"),
        ({"resolution": 512}, "prep bucket"),
        ({"enable_bucket": True}, "prep bucket"),
        ({"train_data_dir": "x"}, "prep flatten"),
        ({"reg_data_dir": "x"}, "prep regularize"),
        ({"full_fp16": True}, "always trained in float32"),
        ({"optimizer_type": "PagedAdamW"}, "no such optimizer"),
        ({"lr_scheduler": "adafactor"}, "no such scheduler"),
        ({"network_module": "networks.lora_fa"}, "no such network"),
        ({"network_args": ["algo=abba"]}, "no algorithm 'abba'"),
        ({"network_args": ["loraplus_lr_ratio=4"]}, "loraplus_lr_ratio has no equivalent"),
        ({"network_args": ["conv_dim=many"]}, "expected a number"),
        ({"lr_warmup_steps": "soon"}, "expected a number"),
        ({"network_dim": "many"}, "expected a whole number"),
        ({"save_model_as": "ckpt"}, "always saved as .safetensors"),
    ],
)
def test_what_has_no_equivalent_says_so_and_why(given, words):
    with pytest.raises(PrepError) as caught:
        taken(**given)
    assert words in caught.value.message and "kohya" in caught.value.hint


def test_all_that_has_no_equivalent_is_reported_at_once():
    with pytest.raises(PrepError) as caught:
        taken(cache_latents=True, resolution=512)
    assert "cache_latents" in caught.value.message and "resolution" in caught.value.message


def test_every_name_of_the_table_leads_to_a_setting_there_is():
    assert set(RENAMED.values()) <= OURS
    assert not set(KOHYA.refused) & (set(KOHYA.renamed) | set(KOHYA.rewritten) | OURS)
    assert set(KOHYA.switches) | set(KOHYA.lists) | set(KOHYA.paths) <= set(KOHYA)


# --- flags


@pytest.mark.parametrize("flag", ["--network_dim", "--network-dim"])
def test_flags_are_taken_with_underscores_and_with_hyphens(flag):
    assert with_flags(flag, "32").adapter.rank == 32


def test_flags_that_both_have_are_taken_with_underscores_too():
    found = with_flags("--unet_lr", "2e-4", "--random_crop", "--max_grad_norm=0")
    assert found.optimizer.unet_lr == 2e-4 and found.augmentation.random_crop and found.optimizer.max_grad_norm == 0
    assert found.translated == ()


def test_lists_are_given_several_times_or_with_spaces():
    wanted = {"d_coef": "0.5", "decouple": "True"}
    for arguments in (("--optimizer_args", "d_coef=0.5 decouple=True"),
                      ("--optimizer_args", "d_coef=0.5", "--optimizer_args", "decouple=True")):  # fmt: skip
        assert with_flags("--optimizer_type", "Prodigy", *arguments).optimizer.optimizer_args == wanted
    rates = with_flags("--text_encoder_lr", "1e-4", "--text_encoder_lr", "5e-5", "--train-text-encoder").optimizer
    assert (rates.text_encoder_lr, rates.text_encoder_2_lr) == (1e-4, 5e-5)


def test_prompts_of_kohya_stand_in_a_file_and_ours_are_texts():
    assert with_flags("--sample_prompts", "prompts.txt").samples.sample_file == Path("prompts.txt")
    assert with_flags("--sample-prompts", "1girl").samples.sample_prompts == ("1girl",)


def test_a_flag_by_both_spellings_is_refused():
    @click.command(params=options_from(Recipe))
    @click.pass_context
    def command(context, **_):
        given_flags(context, Recipe)

    done = CliRunner().invoke(command, ["--unet-lr", "1e-4", "--unet_lr", "1e-4"])
    assert done.exit_code == 2 and "are the same option" in done.output
    misspelt = CliRunner().invoke(command, ["--netwrk_dim", "3"])
    assert misspelt.exit_code == 2 and "--network_dim" in misspelt.output


def test_the_help_shows_our_names_alone():
    shown = [each for each in options_from(Recipe) if not each.hidden]
    assert [each.name for each in shown] == [setting.name for setting in declared(Recipe)]


# --- prep.toml


def written(tmp_path: Path, *lines: str) -> Path:
    file = tmp_path / "prep.toml"
    file.write_text("\n".join(("[train]", *lines)), encoding="utf-8")
    return file


def test_prep_toml_takes_them_and_a_flag_of_ours_goes_before_them(tmp_path):
    settings = load_settings(written(tmp_path, "network_dim = 32", 'sample_prompts = "p.txt"', "text_encoder_lr = 1e-4",
                                     "train_text_encoder = true"))  # fmt: skip
    found = resolved("train", Recipe, settings, {"rank": 4})
    assert found.options.adapter.rank == 4 and found.options.samples.sample_file == tmp_path / "p.txt"
    assert found.origins["sample_file"] == "prep.toml"
    assert resolved("train", Recipe, settings, {}).options.adapter.rank == 32


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("netwrk_dim = 3", "unknown key; did you mean network_dim, network_module or network_weights?"),
        ("cache_latents = true", "latents are always cached"),
        ("network_dim = 8\nrank = 8", "are the same setting"),
        ("rank = 'many'", "expected a whole number"),
    ],
)
def test_prep_toml_says_what_is_wrong_with_one(tmp_path, line, words):
    with pytest.raises(PrepError, match=r"\[train\]") as caught:
        load_settings(written(tmp_path, line))
    assert words in caught.value.message
