"""Files of other trainers: what their keys stand for, and which client reads them."""

import pytest
from foreign_keys import AB, FILES, KOHYA, UNET, keys

from train.adapters.names.client_keys import CLIENTS, used_keys
from train.adapters.names.key_styles import named
from train.adapters.names.kohya_names import layer_path_of

READ = {  # file → the clients that read all of it; the others read nothing
    "kohya": "a1111 forge comfyui diffusers",
    "diffusers A and B": "diffusers",
    "diffusers down and up": "diffusers",
    "transformers 5": "diffusers",
    "peft": "",
    "original": "",
    "original with unet": "",
    "comfyui": "comfyui",
    "internal": "",
    "processors": "comfyui forge",
    "SD 1.x in LDM names": "a1111 forge comfyui",
}


@pytest.mark.parametrize("client", CLIENTS)
@pytest.mark.parametrize("file", FILES)
def test_each_client_reads_what_its_own_code_was_seen_to_read(file, client):
    used = used_keys(client, FILES[file], "sd1")
    all_read = READ[file]
    assert (not used.ignored, bool(used.read)) == ((True, True) if client in all_read.split() else (False, False)), (
        used.ignored
    )


@pytest.mark.parametrize("file", FILES)
def test_every_key_of_another_trainer_stands_for_a_layer(file):
    for key in FILES[file]:
        name = named(key)
        assert name is not None, key
        assert layer_path_of(name.layer) is not None, key
        assert name.suffix in ("lora_down.weight", "lora_up.weight", "alpha")


def test_forge_reads_a_file_with_up_to_twelve_unread_keys():
    unread = keys("unet.", UNET[:6], AB)
    some = keys("lora_unet_", ["mid_block_attentions_0_proj_in"], KOHYA)
    assert set(used_keys("forge", unread + some, "sd1").ignored) == set(unread)
    more = [*unread, "unet.mid_block.attentions.0.transformer_blocks.0.attn1.to_q.lora_A.weight"]
    found = used_keys("forge", more + some, "sd1")
    assert not found.read and all("more than 12" in why for why in found.ignored.values())


@pytest.mark.parametrize(
    ("key", "layer"),
    [
        ("text_encoders.clip_g.transformer.text_model.encoder.layers.3.mlp.fc1.lora_A.weight",
         "lora_te2_text_model_encoder_layers_3_mlp_fc1"),
        ("clip_g.text_model.encoder.layers.3.mlp.fc1.dora_scale", "lora_te2_text_model_encoder_layers_3_mlp_fc1"),
        ("diffusion_model.middle_block.1.proj_in.lora_up.weight", "lora_unet_middle_block_1_proj_in"),
        ("model.diffusion_model.middle_block.1.proj_in.hada_w1_a", "lora_unet_middle_block_1_proj_in"),
        ("lora_te2.text_model.encoder.layers.3.mlp.fc1.alpha", "lora_te2_text_model_encoder_layers_3_mlp_fc1"),
    ],
)  # fmt: skip
def test_the_parts_of_onetrainer_and_comfyui_are_known(key, layer):
    assert named(key).layer == layer


def test_a_bundled_embedding_is_read_by_a1111_alone_and_stops_diffusers():
    held = [*FILES["kohya"], "bundle_emb.x.clip_l", "bundle_emb.x.string_to_param.*"]
    assert not used_keys("a1111", held, "sd1").ignored
    assert set(used_keys("comfyui", held, "sd1").ignored) == set(held[-2:])
    assert not used_keys("diffusers", held, "sd1").read
