"""What is written for a client is rendered by it, exactly, with every key read."""

import pytest
import torch
from adapter_files import CONV, LINEAR, MINIATURE, NAMES, POINT, SQUARE, made, miniature, weight_at, write
from adapter_layers import MAKERS
from client_weights import weight_delta
from safetensors import safe_open
from tolerance import near

from pipeline.core.errors import PrepError
from train.adapters.files.client_support import incompatibility
from train.adapters.files.delta import difference
from train.adapters.files.layer import Layer
from train.adapters.files.reader import open_adapter
from train.adapters.names.client_keys import TARGETS, used_keys
from train.adapters.operations.convert import convert_file

OPTIONS = {
    "lora": ("", "tucker", "dora-input", "dora-output"),
    "loha": ("", "tucker", "dora-output"),
    "lokr": ("", "both", "full-matrix", "tucker", "dora-output"),
    "glora": ("",),
    "full": ("",),
    "oft": ("rescaled", "constraint"),
    "boft": ("rescaled",),
    "ia3": ("", "input"),
}
assert OPTIONS.keys() == MAKERS.keys()
CASES = [(algorithm, option, target) for algorithm, some in OPTIONS.items() for option in some for target in TARGETS]


@pytest.mark.parametrize(("algorithm", "option", "target"), CASES)
def test_every_client_wanted_renders_the_converted_file_exactly(algorithm, option, target, tmp_path):
    layers = made(algorithm, option)
    file = open_adapter(write(tmp_path / "a.safetensors", [layer for layer, _ in layers.values()]))
    base = miniature()
    convert_file(file, tmp_path / "b.safetensors", target, base, torch.float32)
    again = open_adapter(tmp_path / "b.safetensors").sound()
    assert set(again.outlines) == set(NAMES)
    for client in TARGETS[target]:
        assert not used_keys(client, again.keys, "sd1").ignored
        for name, (_, expected) in layers.items():
            layer = again.layer(name)
            for strength in (1.0, 0.5):
                delta = weight_delta(client, layer, weight_at(base, name), strength)
                assert near(delta, expected * strength, products=64 * 9), name


@pytest.mark.parametrize(
    ("algorithm", "option", "name", "target", "becomes", "rank"),
    [
        ("glora", "", LINEAR, "universal", "lora", 4),
        ("glora", "", POINT, "universal", "lora", 4),
        ("glora", "", CONV, "universal", "full", None),
        ("loha", "", SQUARE, "universal", "loha", 2),
        ("loha", "", SQUARE, "diffusers", "lora", 4),
        ("loha", "", CONV, "diffusers", "lora", 4),
        ("lokr", "", SQUARE, "diffusers", "lora", 4),
        ("lokr", "tucker", CONV, "universal", "lokr", None),
        ("lora", "tucker", CONV, "diffusers", "lora", 2),
        ("oft", "", LINEAR, "universal", "full", None),
        ("ia3", "", LINEAR, "universal", "full", None),
        ("ia3", "", SQUARE, "a1111", "ia3", None),
        ("oft", "", SQUARE, "diffusers", "lora", 128),
    ],
)
def test_the_form_is_the_smallest_exact_one(algorithm, option, name, target, becomes, rank, tmp_path):
    file = open_adapter(write(tmp_path / "a.safetensors", [made(algorithm, option, [name])[name][0]]))
    convert_file(file, tmp_path / "b.safetensors", target, miniature())
    outline = open_adapter(tmp_path / "b.safetensors").outlines[name]
    assert (outline.algorithm, outline.rank) == (becomes, rank)


def test_what_depends_on_the_base_asks_for_it(tmp_path):
    file = open_adapter(write(tmp_path / "a.safetensors", [made("oft")[LINEAR][0]]))
    with pytest.raises(PrepError) as caught:
        convert_file(file, tmp_path / "b.safetensors", "universal")
    assert "depends on the weights" in caught.value.message
    assert "--base" in caught.value.hint
    assert not (tmp_path / "b.safetensors").exists()


def test_diffusers_has_no_form_for_norms_and_biases(tmp_path):
    norm = Layer("lora_unet_conv_norm_out", "norm", {"w_norm": torch.ones(64), "b_norm": torch.ones(64)})
    bias = Layer(LINEAR, "full", made("full")[LINEAR][0].tensors | {"diff_b": torch.ones(512)})
    for layer, what in ((norm, "norm"), (bias, "bias")):
        file = open_adapter(write(tmp_path / f"{what}.safetensors", [layer]))
        with pytest.raises(PrepError, match=f"no form for a change of a {what}"):
            convert_file(file, tmp_path / "b.safetensors", "diffusers", miniature())


def test_a_norm_with_one_half_gets_the_other_as_zeros(tmp_path):
    file = open_adapter(
        write(tmp_path / "a.safetensors", [Layer("lora_unet_conv_norm_out", "norm", {"w_norm": torch.ones(64)})])
    )
    convert_file(file, tmp_path / "b.safetensors", "a1111")
    layer = open_adapter(tmp_path / "b.safetensors").layer("lora_unet_out_0")
    assert not incompatibility("a1111", layer)
    assert not layer.tensors["b_norm"].any()


def test_names_without_text_model_and_dotted_names_become_those_all_clients_read(tmp_path):
    down, up = torch.randn(2, 128), torch.randn(512, 2)
    layer = {"lora_down.weight": down, "lora_up.weight": up, "alpha": torch.tensor(2.0)}
    bare = Layer("lora_te_encoder_layers_1_mlp_fc1", "lora", layer)
    file = open_adapter(write(tmp_path / "a.safetensors", [bare]))
    convert_file(file, tmp_path / "b.safetensors", "universal", dtype=torch.float32)
    with safe_open(tmp_path / "b.safetensors", framework="pt") as opened:
        assert torch.equal(opened.get_tensor("lora_te_text_model_encoder_layers_1_mlp_fc1.lora_up.weight"), up)


def test_nothing_is_overwritten_unless_asked(tmp_path):
    file = open_adapter(write(tmp_path / "a.safetensors", [made("lora")[LINEAR][0]]))
    (tmp_path / "b.safetensors").write_bytes(b"mine")
    with pytest.raises(PrepError, match="is there already"):
        convert_file(file, tmp_path / "b.safetensors", "universal")
    assert (tmp_path / "b.safetensors").read_bytes() == b"mine"
    convert_file(file, tmp_path / "b.safetensors", "universal", overwrite=True)
    assert open_adapter(tmp_path / "b.safetensors").outlines
    convert_file(open_adapter(tmp_path / "b.safetensors"), tmp_path / "b.safetensors", "universal", overwrite=True)
    assert len(list(tmp_path.iterdir())) == 2


def test_a_weight_too_large_for_half_precision_is_refused_by_name(tmp_path):
    layer = made("lora")[LINEAR][0]
    big = Layer(LINEAR, "lora", dict(layer.tensors) | {"lora_up.weight": layer.tensors["lora_up.weight"] * 1e6})
    file = open_adapter(write(tmp_path / "a.safetensors", [big]))
    with pytest.raises(PrepError, match="too large for float16"):
        convert_file(file, tmp_path / "b.safetensors", "universal", dtype=torch.float16)


def test_metadata_stays_and_says_what_changed(tmp_path):
    summarized = {
        "ss_network_dim": "2",
        "ss_tag_frequency": "{}",
        "sshs_model_hash": "old",
        "ss_base_model_version": "sd_v1",
    }
    file = open_adapter(write(tmp_path / "a.safetensors", [made("loha")[SQUARE][0]], summarized))
    convert_file(file, tmp_path / "b ✨.safetensors", "diffusers")
    found = open_adapter(tmp_path / "b ✨.safetensors").metadata
    assert found["ss_network_dim"] == "Dynamic"
    assert found["ss_output_name"] == "b ✨"
    assert found["ss_tag_frequency"] == "{}"
    assert found["sshs_model_hash"] != "old"
    assert MINIATURE.is_dir()


def test_what_lacks_of_an_openclip_attention_is_added_doing_nothing(tmp_path):
    name = "lora_te2_text_model_encoder_layers_3_self_attn_q_proj"
    layer = {"lora_up.weight": torch.ones(1280, 2), "lora_down.weight": torch.ones(2, 1280), "alpha": torch.tensor(2.0)}
    file = open_adapter(write(tmp_path / "a.safetensors", [Layer(name, "lora", layer)]))
    assert used_keys("a1111", file.keys, "sdxl").ignored
    done = convert_file(file, tmp_path / "b.safetensors", "universal")
    again = open_adapter(tmp_path / "b.safetensors").sound()
    assert not used_keys("a1111", again.keys, "sdxl").ignored
    assert sum(done.layers.values()) == len(again.outlines) == 4
    assert not difference(again.layer(name.replace("q_proj", "out_proj"))).any()
    assert difference(again.layer(name)).unique().tolist() == [2.0]
    convert_file(file, tmp_path / "c.safetensors", "comfyui")
    assert set(open_adapter(tmp_path / "c.safetensors").outlines) == {name}
