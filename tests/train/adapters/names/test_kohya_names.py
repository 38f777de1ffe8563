"""Names, shapes and counts on weightless models of full size, against what kohya-ss/sd-scripts gives."""

import json
from pathlib import Path

import pytest
from full_size_models import weightless

from train.adapters.adapter import Adapter, AdapterConfig
from train.adapters.inject.targets import name_and_block, targets_of
from train.adapters.names.kohya_names import text_name
from train.models.families.key_map import blocks_of, unet_to_ldm

KOHYA = json.loads((Path(__file__).parents[3] / "data" / "kohya-keys.json").read_text(encoding="utf-8"))
LORA_BLOCKS = (
    [f"IN0{number}" for number in (1, 2, 4, 5, 7, 8)] + ["M00"] + [f"OUT{number:02}" for number in range(3, 12)]
)


@pytest.fixture(scope="module", params=["sd1", "sd2", "sdxl"])
def family(request):
    return request.param, *weightless(request.param)


def wanted(family, unet, encoders, convolutions, text=True):
    config = AdapterConfig(algorithm="lora", rank=1, alpha=1.0, convolutions=convolutions, text_encoder=text)
    return {target.name: list(target.layer.weight.shape) for target in targets_of(config, unet, tuple(encoders))}


def same_shape(ours, theirs, family):
    """kohya makes 1 × 1 convolutions of SD 2.x' linear projections; diffusers' files of SD 2.x hold linear ones."""
    return ours == theirs or (family == "sd2" and theirs[2:] == [1, 1] and ours == theirs[:2])


def test_every_layer_has_the_name_and_shape_that_kohya_gives_it(family):
    name, _, _ = family
    keys = KOHYA[name]
    found = wanted(*family, convolutions=True)
    expected = {key: shape for key, (shape, _) in keys["unet"].items()} | keys["text"]
    assert found.keys() == expected.keys()
    assert all(same_shape(found[key], expected[key], name) for key in expected)
    linear = wanted(*family, convolutions=False, text=False)
    assert linear.keys() == {key for key, (_, kind) in keys["unet"].items() if kind == "linear"}


def test_the_modules_are_as_many_as_they_must_be(family):
    name, _, _ = family
    text, linear, every = {"sd1": (72, 192, 278), "sd2": (138, 192, 278), "sdxl": (264, 722, 788)}[name]
    assert len(wanted(*family, convolutions=False)) == text + linear
    assert len(wanted(*family, convolutions=True)) == text + every


def test_an_sdxl_lora_of_rank_32_in_fp16_is_as_large_as_seen_in_the_wild():
    unet, encoders = weightless("sdxl")
    adapter = Adapter(AdapterConfig(algorithm="lora", rank=1, alpha=1.0, text_encoder=True), unet, *encoders)
    parameters = {figures.part: figures.parameters for figures in adapter.describe()}
    without, along = (32 * 2 * count / 2**20 for count in (parameters["unet"], sum(parameters.values())))
    assert (round(without), round(along)) == (162, 217)


def test_text_encoders_are_named_alike_whatever_transformers_calls_their_modules():
    layer = "lora_te2_text_model_encoder_layers_3_mlp_fc1"
    assert text_name("encoder.layers.3.mlp.fc1", 2) == text_name("text_model.encoder.layers.3.mlp.fc1", 2) == layer
    assert text_name("text_projection", 2) == "lora_te2_text_projection"
    names = wanted("sdxl", *weightless("sdxl"), convolutions=False)
    assert "lora_te1_text_model_encoder_layers_0_self_attn_q_proj" in names
    assert "lora_te2_text_model_encoder_layers_31_mlp_fc2" in names
    assert "lora_te_text_model_encoder_layers_11_mlp_fc2" in wanted("sd1", *weightless("sd1"), convolutions=False)


def test_layers_outside_of_the_blocks_have_their_names_too():
    unet, _ = weightless("sdxl")
    assert name_and_block("conv_in", unet)[0] == "lora_unet_input_blocks_0_0"
    assert name_and_block("add_embedding.linear_2", unet)[0] == "lora_unet_label_emb_0_2"
    assert unet_to_ldm("up_blocks.0.upsamplers.0.conv", blocks_of(unet.config)) == "output_blocks.2.2.conv"
    assert unet_to_ldm("mid_block.resnets.1.time_emb_proj", blocks_of(unet.config)) == "middle_block.2.emb_layers.1"
    assert name_and_block("conv_in", weightless("sd1")[0])[0] == "lora_unet_conv_in"


def test_no_two_layers_of_a_model_share_a_name(family):
    _, unet, _ = family
    paths = [path for path, module in unet.named_modules() if hasattr(module, "weight")]
    assert len({name_and_block(path, unet)[0] for path in paths}) == len(paths)


def test_a_lora_of_sd_1_hangs_in_the_sixteen_blocks_and_a_locon_in_all_25():
    unet, encoders = weightless("sd1")
    linear, every = (
        {
            target.block
            for target in targets_of(
                AdapterConfig(algorithm="lora", rank=1, alpha=1.0, convolutions=convolutions), unet, tuple(encoders)
            )
        }
        for convolutions in (False, True)
    )
    assert sorted(linear) == sorted(LORA_BLOCKS)
    assert len(every) == 24 and "IN00" not in every and {"IN03", "OUT00", "OUT02"} < every
    assert name_and_block("conv_in", unet)[1] == "IN00" and name_and_block("conv_out", unet)[1] == ""
    assert name_and_block("up_blocks.3.attentions.2.proj_out", unet)[1] == "OUT11"
