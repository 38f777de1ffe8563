"""Families, architectures, names of weights, and what the UNet is conditioned on, against diffusers."""

import pytest
import torch
from diffusers.loaders.single_file_utils import (
    convert_ldm_clip_checkpoint,
    convert_ldm_unet_checkpoint,
    convert_ldm_vae_checkpoint,
    convert_open_clip_checkpoint,
)
from ldm_files import ldm_tensors
from tiny_models import single_tensors, tiny_pipeline, write_single
from tolerance import near

from pipeline.core.errors import PrepError
from pipeline.store.values.bucket import Bucket
from train.models.families.key_map import VAE, blocks_of, unet_from_ldm, unet_to_ldm
from train.models.families.registry import FAMILIES
from train.models.load import load_base
from train.models.loading.parts import empty_text, empty_unet, empty_vae, unet_finder
from train.models.loading.prediction_probe import inferred_prediction, noise_shares
from train.models.shapes import parameter_count
from train.models.text.conditioning import size_ids, whole_image, with_sizes
from train.models.text.text_encoding import TextStates, text_conditioning
from train.plan.base_shapes import base_shapes

PROMPTS = ["Lumi, 1girl, solo", "", "flower (red), night"]
NAMES = ["sd1", "sd2", "sdxl"]
PRODUCTS = (32 + 32) * 9
"""That the widest layer of the tiny models sums: a 3x3 kernel behind a skip connection."""


def count(model) -> int:
    return sum(weight.numel() for weight in model.parameters())


@pytest.fixture(scope="module")
def pipelines():
    return {name: tiny_pipeline(name) for name in NAMES}


@pytest.fixture(scope="module")
def bases(pipelines, tmp_path_factory):
    found = {}
    for name, pipeline in pipelines.items():
        folder = tmp_path_factory.mktemp(name)
        pipeline.save_pretrained(folder)
        found[name] = load_base(str(folder), device="cpu")
    return found


# --- architectures


@pytest.mark.parametrize(
    ("name", "unet", "texts"),
    [
        ("sd1", 859_520_964, [123_060_480]),
        ("sd2", 865_910_724, [340_387_840]),
        ("sdxl", 2_567_463_684, [123_060_480, 694_659_840]),
    ],
)
def test_the_shipped_architectures_have_as_many_weights_as_the_published_models(name, unet, texts):
    family = FAMILIES[name]
    configs = family.configs()
    assert count(empty_unet(configs["unet"])) == unet
    assert [count(empty_text(configs[part.folder], part.pooled)) for part in family.text] == texts
    assert count(empty_vae(configs["vae"])) == 83_653_863


@pytest.mark.parametrize("name", NAMES)
def test_every_weight_of_the_full_unet_is_found_where_diffusers_looks_for_it_and_back(name):
    config = FAMILIES[name].configs()["unet"]
    keys, blocks, find = list(empty_unet(config).state_dict()), blocks_of(config), unet_finder(config)
    converted = convert_ldm_unet_checkpoint({find(key).key: key for key in keys}, dict(config))
    assert converted == {key: key for key in keys}
    assert [unet_from_ldm(unet_to_ldm(key, blocks), blocks) for key in keys] == keys


def test_some_names_that_every_stable_diffusion_file_has():
    sd1 = unet_finder(FAMILIES["sd1"].configs()["unet"])
    sdxl = unet_finder(FAMILIES["sdxl"].configs()["unet"])
    assert sd1("up_blocks.3.resnets.2.conv_shortcut.weight").key == (
        "model.diffusion_model.output_blocks.11.0.skip_connection.weight"
    )
    assert sd1("up_blocks.0.upsamplers.0.conv.bias").key == "model.diffusion_model.output_blocks.2.1.conv.bias"
    assert sdxl("up_blocks.0.upsamplers.0.conv.bias").key == "model.diffusion_model.output_blocks.2.2.conv.bias"
    assert sdxl("add_embedding.linear_2.weight").key == "model.diffusion_model.label_emb.0.2.weight"


@pytest.mark.parametrize("name", NAMES)
def test_a_model_written_as_a_single_file_is_read_by_diffusers_converters_as_it_was(name, pipelines):
    pipeline, family = pipelines[name], FAMILIES[name]
    encoders = tuple(getattr(pipeline, part.folder) for part in family.text)
    tensors = ldm_tensors(family, pipeline.unet, pipeline.vae, encoders, torch.float32)
    same(convert_ldm_unet_checkpoint(dict(tensors), dict(pipeline.unet.config)), pipeline.unet)
    vae = {key: value for key, value in tensors.items() if key.startswith(VAE)}
    same(convert_ldm_vae_checkpoint(vae, pipeline.vae.config), pipeline.vae)
    for part, encoder in zip(family.text, encoders, strict=True):
        if part.names == "clip":
            same(convert_ldm_clip_checkpoint(tensors), encoder)
        else:
            same(convert_open_clip_checkpoint(encoder, tensors, part.prefix), encoder)


def same(converted, model):
    wanted = model.state_dict()
    found = {key if key in wanted else key.removeprefix("text_model."): value for key, value in converted.items()}
    assert found.keys() == wanted.keys()
    assert all(torch.equal(found[key], wanted[key]) for key in wanted)


@pytest.mark.parametrize("name", NAMES)
def test_a_models_shapes_are_the_same_from_a_folder_and_a_file_and_count_its_weights(name, pipelines, bases, tmp_path):
    base = bases[name]
    file = write_single(tmp_path / "model.safetensors", single_tensors(name, pipelines[name]))
    folder, single = base_shapes(base.folder), base_shapes(file)
    for shapes in (folder, single):
        assert shapes.family == name
        assert parameter_count(shapes.unet) == count(base.unet)
        assert parameter_count(shapes.text) == sum(map(count, base.text_encoders))
        assert parameter_count(shapes.vae) == count(base.vae)
    assert folder.unet == single.unet
    file.write_bytes(b"nothing")
    assert base_shapes(file) is None


# --- what the UNet is reported


@pytest.mark.parametrize("name", NAMES)
def test_the_unet_is_reported_what_diffusers_own_pipeline_tells_it_and_says_the_same(
    name, pipelines, bases, monkeypatch
):
    pipeline, base = pipelines[name], bases[name]
    seen, forward = [], pipeline.unet.forward

    def recorded(sample, time, encoder_hidden_states, **more):
        out = forward(sample, time, encoder_hidden_states=encoder_hidden_states, **more)
        seen.append((sample, time, encoder_hidden_states, more.get("added_cond_kwargs") or {}, out[0]))
        return out

    monkeypatch.setattr(pipeline.unet, "forward", recorded)
    pipeline.set_progress_bar_config(disable=True)
    with torch.no_grad():
        pipeline(PROMPTS, height=64, width=128, guidance_scale=1.0, num_inference_steps=1, output_type="latent")
        noisy, time, states, added, said = seen[0]
        reported = with_sizes(text_conditioning(base, PROMPTS), [whole_image((128, 64))] * 3)
        predicted = base.predict(noisy, time, reported)
    assert base.family == name
    assert near(reported.states, states, PRODUCTS)
    if name == "sdxl":
        assert near(reported.pooled, added["text_embeds"], PRODUCTS)
        assert torch.equal(reported.sizes, added["time_ids"])
    else:
        assert reported.pooled is None
    assert near(predicted, said, PRODUCTS)


def test_of_a_long_caption_the_first_chunk_is_pooled_and_all_chunks_of_both_encoders_are_read(bases):
    base, long = bases["sdxl"], ", ".join(f"red hair {number}" for number in range(40))
    with torch.no_grad():
        reported, first = text_conditioning(base, [long, "a"], max_tokens=225), text_conditioning(base, [long, "a"])
        empty = text_conditioning(base, [""])
    assert reported.states.shape == (2, 231, 72) and reported.pooled.shape == (2, 40)
    assert near(reported.pooled, first.pooled, PRODUCTS)
    assert near(reported.states[:, :77], first.states, PRODUCTS)
    assert near(reported.states[1, 77:154], empty.states[0], PRODUCTS)
    assert not torch.allclose(reported.pooled[0], reported.pooled[1], atol=1e-3)


@pytest.mark.parametrize("name", NAMES)
def test_states_that_are_kept_are_those_that_are_read(name, bases):
    states = TextStates(bases[name], max_tokens=150)
    with torch.no_grad():
        wanted = text_conditioning(bases[name], PROMPTS, max_tokens=150)
    for _ in range(2):
        found = states(PROMPTS)
        assert near(found.states, wanted.states, PRODUCTS)
        assert (found.pooled is None) == (name != "sdxl")
        if wanted.pooled is not None:
            assert near(found.pooled, wanted.pooled, PRODUCTS)


def test_sdxl_has_one_layer_that_is_read_and_another_is_refused(bases):
    with torch.no_grad():
        one, two = (text_conditioning(bases["sdxl"], ["a"], clip_skip=skip).states for skip in (1, 2))
    assert torch.equal(one, two)
    with pytest.raises(PrepError, match="penultimate"):
        text_conditioning(bases["sdxl"], ["a"], clip_skip=3)
    with pytest.raises(PrepError, match="has 3 layers"):
        TextStates(bases["sd1"], clip_skip=4)


def test_sizes_by_hand():
    bucket = Bucket((832, 1216), (832, 1248), (0, 16, 832, 1232))
    assert size_ids(bucket, (1000, 1500)) == (1500, 1000, 16, 0, 1216, 832)
    wide = Bucket((1024, 1024), (1536, 1024), (200, 0, 1224, 1024))
    assert size_ids(wide, (1500, 1000)) == (1000, 1500, 0, 200, 1024, 1024)
    assert size_ids(wide, (1500, 1000), mirrored=True) == (1000, 1500, 0, 312, 1024, 1024)
    assert whole_image((832, 1216)) == (1216, 832, 0, 0, 1216, 832)


# --- what the UNet predicts


def test_a_unet_that_says_the_noise_is_reported_from_one_that_says_the_velocity():
    base = load_base("miniature", device="cpu")
    with torch.no_grad():
        text = text_conditioning(base, [""])
    alphas_cumprod = base.alphas_cumprod

    def epsilon(noisy, times):
        return base.predict(noisy, times, text)

    def velocity(noisy, times):
        alpha_prod, noise = alphas_cumprod[times][:, None, None, None], epsilon(noisy, times)
        clean = (noisy - (1 - alpha_prod).sqrt() * noise) / alpha_prod.sqrt()
        return alpha_prod.sqrt() * noise - (1 - alpha_prod).sqrt() * clean

    shares = noise_shares(epsilon, alphas_cumprod, 4, base.device)
    assert inferred_prediction(shares, alphas_cumprod) == "epsilon"
    assert inferred_prediction(noise_shares(velocity, alphas_cumprod, 4, base.device), alphas_cumprod) == "v_prediction"


def test_a_measure_near_neither_tells_nothing():
    alphas_cumprod = torch.cumprod(1 - torch.linspace(0.00085**0.5, 0.012**0.5, 1000) ** 2, 0)
    assert inferred_prediction([1.0, 1.0], alphas_cumprod) == "epsilon"
    assert inferred_prediction([0.53, 0.07], alphas_cumprod) == "v_prediction"
    assert inferred_prediction([0.28, -0.21], alphas_cumprod) == "v_prediction", (
        "the UNet takes some of the noise for an image"
    )
    assert inferred_prediction([0.75, 0.55], alphas_cumprod) is None
    assert inferred_prediction([0.0, 0.0], alphas_cumprod) is None
