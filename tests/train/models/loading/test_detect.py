"""The family and the prediction of a base model are read from its file."""

import types
from pathlib import Path

import pytest
import torch
from single_files import NAMES, load, same_weights
from tiny_models import SCHEDULER, single_tensors, write_single

from pipeline.core.errors import PrepError
from train.models.load import load_base
from train.models.loading.detect import declared, family_of, one_prediction, refuse_no_model


@pytest.mark.parametrize("name", NAMES)
def test_the_family_is_reported_from_the_names(name, tensors):
    shapes = {key: tuple(value.shape) for key, value in tensors[name].items()}
    assert family_of(Path("x.safetensors"), shapes).name == name


@pytest.mark.parametrize(
    ("shapes", "word"),
    [
        ({"conditioner.embedders.0.model.ln_final.weight": (1280,)}, "refiner"),
        ({"model.diffusion_model.joint_blocks.0.x": (1,)}, "Stable Diffusion 3"),
        ({"double_blocks.0.img_attn.qkv.weight": (1,)}, "FLUX"),
        ({"lora_unet_down_blocks_0.alpha": ()}, "an adapter"),
        ({"unet.down_blocks.0.attentions.0.proj_in.lora_A.weight": (1,)}, "an adapter"),
        ({"base_model.model.mid_block.x.lora_B.default.weight": (1,)}, "an adapter"),
        ({"down_blocks.0.attn1.processor.to_q_lora.down.weight": (1,)}, "an adapter"),
        ({"text_encoder.mlp.fc1.lora_linear_layer.up.weight": (1,)}, "an adapter"),
        ({"diffusion_model.input_blocks.1.1.proj_in.lora_up.weight": (1,)}, "an adapter"),
        ({"model_ema.diffusion_modelinput_blocks00weight": (1,)}, "averaged"),
        ({"emb_params": (1,)}, "textual inversion"),
        ({"encoder.down.0.block.0.norm1.weight": (1,)}, "VAE"),
        ({"first_stage_model.encoder.conv_in.weight": (1,)}, "VAE"),
        ({"down_blocks.0.resnets.0.conv1.weight": (1,)}, "diffusers format"),
        ({"model.diffusion_model.input_blocks.0.0.weight": (320, 4, 3, 3)}, "a text encoder is missing"),
        (
            {
                "model.diffusion_model.input_blocks.0.0.weight": (320, 4, 3, 3),
                "conditioner.embedders.0.model.ln_final.weight": (1280,),
            },
            "refiner",
        ),
        (
            {
                "model.diffusion_model.input_blocks.0.0.weight": (320, 9, 3, 3),
                "cond_stage_model.transformer.text_model.final_layer_norm.weight": (768,),
            },
            "inpainting",
        ),
        (
            {
                "model.diffusion_model.input_blocks.0.0.weight": (320, 4, 3, 3),
                "conditioner.embedders.0.transformer.text_model.final_layer_norm.weight": (768,),
                "conditioner.embedders.1.model.ln_final.weight": (1280,),
                "edm_mean": (4,),
            },
            "EDM",
        ),
        ({"blocks.0.weight": (1,)}, "blocks.0.weight"),
    ],
)
def test_what_is_no_base_model_is_called_by_its_name(shapes, word):
    with pytest.raises(PrepError, match=word):
        family_of(Path("x.safetensors"), shapes)


@pytest.mark.parametrize(
    ("names", "metadata", "yaml", "prediction", "zero"),
    [
        ((), {}, None, None, False),
        (("v_pred",), {}, None, "v_prediction", False),
        (("v_pred", "ztsnr"), {}, None, "v_prediction", True),
        ((), {"modelspec.prediction_type": "v"}, None, "v_prediction", False),
        ((), {"modelspec.prediction_type": "epsilon"}, None, "epsilon", False),
        ((), {"modelspec.architecture": "stable-diffusion-v2-768-v"}, None, "v_prediction", False),
        ((), {"modelspec.architecture": "stable-diffusion-v2-512"}, None, "epsilon", False),
        ((), {"modelspec.architecture": "stable-diffusion-xl-v1-base"}, None, None, False),
        ((), {}, 'model: {params: {parameterization: "v"}}', "v_prediction", False),
        ((), {}, "model: {params: {linear_start: 0.00085}}", "epsilon", False),
        (
            (),
            {},
            "model: {params: {denoiser_config: {params: {scaling_config: {target: a.b.VScaling}}}}}",
            "v_prediction",
            False,
        ),
        (("v_pred",), {"modelspec.prediction_type": "v"}, None, "v_prediction", False),
    ],
)
def test_the_prediction_is_what_the_file_says(names, metadata, yaml, prediction, zero, tmp_path):
    file = tmp_path / "model.safetensors"
    if yaml:
        file.with_suffix(".yaml").write_text(yaml, encoding="utf-8")
    reported = declared(file, dict.fromkeys(names, ()), metadata)
    assert (one_prediction(file, reported), reported.zero_terminal) == (prediction, zero)


def test_a_file_that_says_both_or_something_unknown_is_asked_about(tmp_path):
    file = tmp_path / "model.safetensors"
    both = declared(file, {"v_pred": ()}, {"modelspec.prediction_type": "epsilon"})
    with pytest.raises(PrepError, match=r"says both: v_prediction \(its tensor v_pred\) and epsilon") as caught:
        one_prediction(file, both)
    assert one_prediction(file, both, asked=True) is None
    assert "prediction = epsilon" in caught.value.hint
    with pytest.raises(PrepError, match="'flow'"):
        declared(file, {}, {"modelspec.prediction_type": "flow"})
    for yaml in ("model: [1]", "{", "- a", "model: {params: 3}"):
        file.with_suffix(".yaml").write_text(yaml, encoding="utf-8")
        with pytest.raises(PrepError, match="no yaml of a model"):
            declared(file, {}, {})


def test_markers_make_a_schedule_that_ends_in_pure_noise(tensors, tiny, tmp_path):
    marked = tensors["sdxl"] | {"v_pred": torch.empty(0), "ztsnr": torch.empty(0)}
    base = load(write_single(tmp_path / "model.safetensors", marked), prediction="auto")
    assert base.prediction == "v_prediction" and base.zero_terminal_snr
    assert base.alphas_cumprod[-1] == 0 and base.alphas_cumprod[0] == pytest.approx(1 - SCHEDULER["beta_start"])
    overruled = load(tmp_path / "model.safetensors", prediction="epsilon")
    assert overruled.prediction == "epsilon" and "predicts v_prediction; epsilon was asked" in overruled.warnings[0]


def test_a_file_that_says_nothing_and_shows_nothing_is_asked_about(tensors, tiny, tmp_path):
    file = write_single(tmp_path / "model.safetensors", tensors["sd2"])
    with pytest.raises(PrepError, match="cannot be inferred") as caught:
        load(file, prediction="auto")
    assert "prediction = v_prediction" in caught.value.hint


def test_what_the_unet_shows_is_taken_and_said(tmp_path, monkeypatch):
    miniature = load_base("miniature", device="cpu")
    configs = {
        "unet": dict(miniature.unet.config),
        "vae": dict(miniature.vae.config),
        "text_encoder": miniature.text_encoder.config.to_dict(),
        "scheduler": SCHEDULER,
    }
    monkeypatch.setattr("train.models.families.family.Family.configs", lambda self: configs)
    pipeline = types.SimpleNamespace(unet=miniature.unet, vae=miniature.vae, text_encoder=miniature.text_encoder)
    vae = {"vae": str(miniature.folder / "vae")}  # the miniature's has no attention, which single files have
    tensors = {key: value for key, value in single_tensors("sd1", pipeline).items() if "first_stage" not in key}
    base = load(write_single(tmp_path / "model.safetensors", tensors), prediction="auto", **vae)
    assert base.prediction == "epsilon"
    assert len(base.warnings) == 1 and "epsilon was measured" in base.warnings[0]
    same_weights(base, miniature)


def test_a_file_of_averaged_weights_alone_says_what_else_to_give():
    with pytest.raises(PrepError, match="holds only the averaged") as caught:
        refuse_no_model(Path("ema.safetensors"), {"model_ema.diffusion_modelinput_blocks00weight": (1,)})
    assert "give the checkpoint it was taken from" in caught.value.hint
