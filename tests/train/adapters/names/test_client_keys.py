"""Names of layers in every style, and which of them each client reads."""

import json
from pathlib import Path

import pytest
import torch
from diffusers import UNet2DConditionModel

from train.adapters.names.client_keys import CLIENTS, used_keys
from train.adapters.names.key_styles import named
from train.adapters.names.kohya_names import (
    block_of,
    dotted,
    kernel_of,
    kohya_name,
    layer_path_of,
    text_layer_path,
    unet_layer_path,
)
from train.models.families.key_map import Blocks, unet_to_ldm

KOHYA = json.loads((Path(__file__).parents[3] / "data" / "kohya-keys.json").read_text(encoding="utf-8"))
SDXL = {
    "cross_attention_dim": 2048,
    "block_out_channels": (320, 640, 1280),
    "down_block_types": ("DownBlock2D", "CrossAttnDownBlock2D", "CrossAttnDownBlock2D"),
    "up_block_types": ("CrossAttnUpBlock2D", "CrossAttnUpBlock2D", "UpBlock2D"),
    "attention_head_dim": (5, 10, 20),
    "transformer_layers_per_block": (1, 2, 10),
    "use_linear_projection": True,
    "addition_embed_type": "text_time",
    "addition_time_embed_dim": 256,
    "projection_class_embeddings_input_dim": 2816,
}


def leaves(family: str) -> list[str]:
    with torch.device("meta"):
        unet = UNet2DConditionModel(**(SDXL if family == "sdxl" else {"cross_attention_dim": 768}))
    return [path for path, module in unet.named_modules() if hasattr(module, "weight")]


def ldm(path: str, family: str) -> str:
    return unet_to_ldm(path, Blocks(bare=frozenset({2} if family == "sdxl" else {0})))


def keys(names) -> list[str]:
    return [f"{name}.{suffix}" for name in names for suffix in ("lora_down.weight", "lora_up.weight", "alpha")]


def ignored(client: str, family: str, names) -> set[str]:
    return {key.split(".")[0] for key in used_keys(client, keys(names), family).ignored}


@pytest.mark.parametrize("family", sorted(KOHYA))
def test_every_name_kohya_gives_is_read_by_every_client_and_given_back(family):
    names = [*KOHYA[family]["unet"], *KOHYA[family]["text"]]
    assert len(names) == {"sd1": 350, "sd2": 416, "sdxl": 1052}[family]
    for name in names:
        assert kohya_name(layer_path_of(name), family) == name
    for client in CLIENTS:
        assert not used_keys(client, keys(names), family).ignored


@pytest.mark.parametrize(("family", "count"), [("sd1", 391), ("sdxl", 1050)])
def test_every_leaf_of_a_unet_has_a_place_in_both_layouts(family, count):
    found = leaves(family)
    assert len(found) == count
    for path in found:
        for written in (path, path.replace(".", "_"), ldm(path, family), ldm(path, family).replace(".", "_")):
            assert unet_layer_path(written).path == path
    assert len({kohya_name(unet_layer_path(path), family) for path in found}) == count


def test_what_each_client_loses_in_each_style_is_what_was_measured():
    small, large = leaves("sd1"), leaves("sdxl")

    def by_style(client: str, family: str, paths: list[str]) -> tuple[int, int]:
        diffusers = ["lora_unet_" + path.replace(".", "_") for path in paths]
        original = ["lora_unet_" + ldm(path, family).replace(".", "_") for path in paths]
        return len(ignored(client, family, diffusers)), len(ignored(client, family, original))

    adapted = list(KOHYA["sd1"]["unet"])
    assert by_style("a1111", "sd1", small) == (1, 0)
    assert by_style("comfyui", "sd1", small) == (0, 0)
    assert by_style("forge", "sd1", small) == (0, 0)
    assert by_style("diffusers", "sd1", [layer_path_of(name).path for name in adapted]) == (0, 278)
    assert by_style("a1111", "sdxl", large) == (4, 0)
    assert by_style("comfyui", "sdxl", large) == (0, 0)
    assert by_style("diffusers", "sdxl", large) == (1, 0)


def test_text_encoder_names_without_text_model_are_read_by_nobody():
    name = "lora_te_encoder_layers_0_self_attn_q_proj"
    assert layer_path_of(name) is not None
    assert kohya_name(layer_path_of(name), "sd1") == "lora_te_text_model_encoder_layers_0_self_attn_q_proj"
    for client in CLIENTS:
        assert ignored(client, "sd1", [name]) == {name}


def test_a1111_wants_all_four_projections_of_an_openclip_attention():
    start = "lora_te2_text_model_encoder_layers_3_self_attn_"
    names = [f"{start}{letter}_proj" for letter in ("q", "k", "v", "out")]
    assert not ignored("a1111", "sdxl", names)
    assert ignored("a1111", "sdxl", names[:3]) == set(names[:3])
    assert not ignored("comfyui", "sdxl", names[:3])
    assert not ignored("a1111", "sdxl", [name.replace("te2", "te1") for name in names[:3]])


def test_norms_of_text_encoders_and_the_text_projection_are_read_by_some():
    norm = "lora_te_text_model_encoder_layers_0_layer_norm1"
    assert not ignored("a1111", "sd1", [norm])
    assert ignored("a1111", "sd2", [norm])
    assert ignored("comfyui", "sd1", [norm])
    assert ignored("a1111", "sdxl", ["lora_te2_text_projection"])
    assert not ignored("comfyui", "sdxl", ["lora_te2_text_projection"])


def test_diffusers_refuses_a_whole_file_for_one_key():
    name = next(iter(KOHYA["sd1"]["unet"]))
    found = used_keys("diffusers", [*keys([name]), f"{name}.lora_mid.weight"], "sd1")
    assert not found.read
    assert all("lora_mid" in why for why in found.ignored.values())


@pytest.mark.parametrize(
    ("key", "layer", "suffix"),
    [
        ("unet.down_blocks.0.attentions.0.proj_in.lora_A.weight", "lora_unet_down_blocks_0_attentions_0_proj_in", "down"),
        ("unet.mid_block.attentions.0.transformer_blocks.0.attn1.processor.to_out_lora.up.weight",
         "lora_unet_mid_block_attentions_0_transformer_blocks_0_attn1_to_out_0", "up"),
        ("base_model.model.up_blocks.1.attentions.0.transformer_blocks.0.ff.net.2.lora_B.default.weight",
         "lora_unet_up_blocks_1_attentions_0_transformer_blocks_0_ff_net_2", "up"),
        ("text_encoder.text_model.encoder.layers.1.mlp.fc1.lora_linear_layer.down.weight",
         "lora_te_text_model_encoder_layers_1_mlp_fc1", "down"),
        ("text_encoder_2.text_model.encoder.layers.1.self_attn.q_proj.lora_B.weight",
         "lora_te2_text_model_encoder_layers_1_self_attn_q_proj", "up"),
    ],
)  # fmt: skip
def test_dotted_keys_of_diffusers_and_peft_are_the_same_layers(key, layer, suffix):
    found = named(key)
    assert (found.layer, found.suffix, found.dotted) == (layer, f"lora_{suffix}.weight", True)
    assert layer_path_of(layer) is not None
    assert used_keys("a1111", [key], "sd1").ignored
    assert bool(used_keys("diffusers", [key], "sd1").ignored) is key.startswith("base_model.")


@pytest.mark.parametrize(
    "name",
    ["lora_unet_up_blocks_1_resnets_0_nothing", "lora_unet_middle_block_3_proj_in", "lora_te_text_model_embeddings",
     "lora_unet_down_blocks_0_upsamplers_0_conv", "lora_unet_input_blocks_0_0_in_layers_0",
     "lora_unet_input_blocks_1_0_op", "lora_unet_conv_in_", f"lora_unet_input_blocks_{'9' * 5000}_0_op",
     "bundle_emb.x.string_to_param", "../../etc/passwd"],
)  # fmt: skip
def test_a_name_that_is_no_layer_has_no_place(name):
    assert layer_path_of(name) is None


def test_dots_come_back_between_the_words_of_a_path():
    assert dotted("down_blocks_0_attentions_1_transformer_blocks_0_ff_net_0_proj") == (
        "down_blocks.0.attentions.1.transformer_blocks.0.ff.net.0.proj"
    )
    assert dotted("time_embedding_linear_1") == "time_embedding.linear_1"
    assert dotted("time_embed_0") == "time_embed.0"


def test_blocks_have_the_names_of_the_merging_tools():
    def block(path: str) -> str:
        return block_of(unet_layer_path(path))

    assert block("conv_in") == "IN00"
    assert block("down_blocks.0.attentions.1.proj_in") == "IN02"
    assert block("down_blocks.0.downsamplers.0.conv") == "IN03"
    assert block("down_blocks.3.resnets.1.conv1") == "IN11"
    assert block("mid_block.resnets.1.conv1") == "M00"
    assert block("up_blocks.0.upsamplers.0.conv") == "OUT02"
    assert block("up_blocks.3.attentions.2.proj_out") == "OUT11"
    assert block_of(text_layer_path("te", "text_model.encoder.layers.0.mlp.fc1")) == "BASE"
    linear = {block_of(layer_path_of(name)) for name, (_, kind) in KOHYA["sd1"]["unet"].items() if kind == "linear"}
    assert linear == {f"IN{number:02}" for number in (1, 2, 4, 5, 7, 8)} | {"M00"} | {
        f"OUT{number:02}" for number in range(3, 12)
    }


@pytest.mark.parametrize("family", sorted(KOHYA.keys() - {"sd2"}))
def test_the_kernel_of_a_place_is_the_one_kohyas_shapes_have(family):
    for name, (shape, _) in KOHYA[family]["unet"].items():
        assert kernel_of(layer_path_of(name), family) == tuple(shape[2:]), name
