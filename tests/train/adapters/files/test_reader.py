"""Adapter files of every style and in every state are opened, or refused in words."""

import json
import math

import pytest
import torch
from adapter_files import CONV, LINEAR, NAMES, POINT, SQUARE, TEXT, made, miniature, weight_at, write
from diffusers import UNet2DConditionModel
from diffusers.loaders import StableDiffusionLoraLoaderMixin
from safetensors.torch import save_file
from tolerance import near, rounding

from pipeline.core.errors import PrepError
from train.adapters.files.delta import difference
from train.adapters.files.info import describe, effect_norm, top_tags
from train.adapters.files.layer import Layer
from train.adapters.files.reader import open_adapter
from train.adapters.names.kohya_names import layer_path_of
from train.adapters.operations.convert import convert_file

UP, DOWN = f"{LINEAR}.lora_up.weight", f"{LINEAR}.lora_down.weight"


def written(tmp_path, tensors, **metadata):
    save_file(tensors, tmp_path / "a.safetensors", metadata)
    return open_adapter(tmp_path / "a.safetensors")


def pair(rank: int = 2, inside: int = 64):
    return {UP: torch.ones(512, rank), DOWN: torch.ones(rank, inside)}


def problem(tmp_path, tensors) -> str:
    with pytest.raises(PrepError) as caught:
        written(tmp_path, tensors).sound()
    assert "prep adapter info" in caught.value.hint
    return caught.value.message


def test_a_file_of_dotted_keys_holds_the_same_layers(tmp_path):
    path = "unet.down_blocks.0.attentions.0.transformer_blocks.0.ff.net.0.proj"
    file = written(tmp_path, {f"{path}.lora_B.weight": torch.ones(512, 2), f"{path}.lora_A.weight": torch.ones(2, 64)})
    layer = file.sound().layer(LINEAR)
    assert (layer.rank, layer.alpha, layer.scale) == (2, None, 1.0)
    assert difference(layer).unique().tolist() == [2.0]


def test_alphas_that_diffusers_wrote_into_the_metadata_are_taken_and_become_tensors(tmp_path):
    start = "unet.down_blocks.0.attentions.0.transformer_blocks.0"
    tensors = {}
    for inner in ("ff.net.0.proj", "ff.net.2"):
        tensors |= {
            f"{start}.{inner}.lora_B.weight": torch.ones(8, 4),
            f"{start}.{inner}.lora_A.weight": torch.ones(4, 8),
        }
    second = LINEAR.replace("net_0_proj", "net_2")

    def scales(**summarized) -> list[float]:
        table = json.dumps({f"unet.{key}": value for key, value in summarized.items()})
        file = written(tmp_path, tensors, lora_adapter_metadata=table)
        return [file.layer(LINEAR).scale, file.layer(second).scale]

    assert scales(r=4, lora_alpha=8) == [2.0, 2.0]
    assert scales(lora_alpha=8, alpha_pattern={"ff.net.2": 2}) == [2.0, 0.5]
    assert scales(lora_alpha=8, use_rslora=True) == [4.0, 4.0]
    assert scales(r=4) == [1.0, 1.0]
    with pytest.raises(PrepError, match="alpha 'many', which is no number"):
        scales(lora_alpha="many")
    scales(lora_alpha=8)
    convert_file(open_adapter(tmp_path / "a.safetensors"), tmp_path / "b.safetensors", "universal")
    again = open_adapter(tmp_path / "b.safetensors")
    assert again.layer(LINEAR).scale == 2.0
    assert "lora_adapter_metadata" not in again.metadata


def test_what_is_odd_is_said_by_name(tmp_path):
    assert "lora_up.weight is missing" in problem(tmp_path, {DOWN: torch.ones(2, 64)})
    assert "does not fit" in problem(tmp_path, pair() | {UP: torch.ones(512, 3)})
    assert "strange.key: not a key" in problem(tmp_path, pair() | {"strange.key": torch.ones(1)})
    assert "alpha is no single number" in problem(tmp_path, pair() | {f"{LINEAR}.alpha": torch.ones(2)})
    other = {key.replace(LINEAR, SQUARE): tensor for key, tensor in pair().items()}
    message = problem(tmp_path, pair() | other | {f"{LINEAR}.alpha": torch.tensor(1.0)})
    assert f"{SQUARE}: alpha is missing, though other layers have one" in message
    assert "and 3 more" in problem(tmp_path, pair() | {f"key{number}": torch.ones(1) for number in range(8)})
    small = pair() | {UP: torch.ones(512, 2).to(torch.float8_e4m3fn)}
    assert "lora_up.weight is in F8_E4M3" in problem(tmp_path, small)
    both = pair() | {f"{LINEAR}.lora_A.weight": torch.ones(2, 64)}
    assert "lora_A" in problem(tmp_path, both)


def test_numbers_that_cannot_be_computed_with_are_refused(tmp_path):
    for bad, words in (({UP: torch.full((512, 2), math.nan)}, "not finite"),):
        with pytest.raises(PrepError, match=words):
            written(tmp_path, pair() | bad).layer(LINEAR)
    for alpha in (0.0, -1.0):
        with pytest.raises(PrepError, match="not above 0"):
            written(tmp_path, pair() | {f"{LINEAR}.alpha": torch.tensor(alpha)}).layer(LINEAR)


def test_small_factors_cannot_ask_for_a_huge_weight(tmp_path):
    file = written(tmp_path, {UP: torch.ones(60_000, 1), DOWN: torch.ones(1, 60_000)})
    with pytest.raises(PrepError, match="larger than any"):
        difference(file.layer(LINEAR))
    kron = {f"{LINEAR}.lokr_w1": torch.ones(300, 300), f"{LINEAR}.lokr_w2": torch.ones(300, 300)}
    with pytest.raises(PrepError, match="larger than any"):
        difference(written(tmp_path, kron).layer(LINEAR))


@pytest.mark.parametrize(("width", "family"), [(768, "sd1"), (1024, "sd2"), (2048, "sdxl"), (100, "")])
def test_the_family_is_reported_by_what_cross_attention_reads(width, family, tmp_path):
    name = "lora_unet_mid_block_attentions_0_transformer_blocks_0_attn2_to_k"
    tensors = {f"{name}.lora_up.weight": torch.ones(8, 1), f"{name}.lora_down.weight": torch.ones(1, width)}
    assert written(tmp_path, tensors).family == family
    kron = {f"{name}.lokr_w1": torch.ones(2, 4), f"{name}.lokr_w2": torch.ones(4, width // 4)}
    assert written(tmp_path, kron).family == family


def test_the_family_is_reported_by_metadata_or_ldm_names_where_nothing_else_does(tmp_path):
    assert written(tmp_path, pair()).family == ""
    assert written(tmp_path, pair(), ss_base_model_version="sd_v2_v").family == "sd2"
    assert written(tmp_path, pair(), ss_base_model_version="sdxl_base_v1-0").family == "sdxl"
    name = "lora_unet_input_blocks_4_1_proj_in"
    assert written(tmp_path, {key.replace(LINEAR, name): each for key, each in pair().items()}).family == "sdxl"


@pytest.mark.parametrize("algorithm", ["lora", "loha", "lokr", "full", "glora", "oft", "ia3"])
def test_norms_are_those_of_the_differences(algorithm, tmp_path):
    layers = made(algorithm)
    file = open_adapter(write(tmp_path / "a.safetensors", [layer for layer, _ in layers.values()]))
    base = miniature()
    for name, (layer, delta) in layers.items():
        assert effect_norm(layer, weight_at(base, name)) == pytest.approx(float(delta.norm()), rel=rounding(512 * 128))
    found = describe(file, base)
    whole = math.sqrt(sum(float(delta.norm()) ** 2 for _, delta in layers.values()))
    assert found["norm"] == pytest.approx(whole, rel=rounding(512 * 128))
    assert (describe(file)["norm"] is None) == (algorithm in ("glora", "oft", "ia3"))
    assert [row["block"] for row in found["blocks"]] == ["BASE", "IN01", "M00", "OUT03"]


def test_the_table_of_clients_says_what_each_does_wrong(tmp_path):
    layers = [made("oft")[LINEAR][0], made("lora")[SQUARE][0]]
    clients = describe(open_adapter(write(tmp_path / "a.safetensors", layers)))["clients"]
    assert clients["a1111"]["renders"]
    assert clients["forge"]["layers_wrong"] == {"OFT is not known": 1}
    assert "strength" in next(iter(clients["comfyui"]["layers_wrong"]))
    assert not clients["diffusers"]["keys_read"]


def test_a_damaged_layer_is_listed_and_the_rest_is_described(tmp_path):
    good, bad = made("lora")[SQUARE][0], made("lora")[LINEAR][0]
    spoilt = Layer(LINEAR, "lora", dict(bad.tensors) | {"lora_up.weight": torch.full((512, 2), math.inf)})
    found = describe(open_adapter(write(tmp_path / "a.safetensors", [good, spoilt])))
    assert found["layers"] == 1
    assert f"{LINEAR}.lora_up.weight holds values that are not finite" in found["problems"]


def test_tag_tables_of_strangers_do_no_harm():
    assert top_tags('{"a": {"x": 1}, "b": {"x": 2, "y": 1}, "c": 3, "d": {"z": "many"}}') == {"x": 3, "y": 1}
    assert top_tags("[1, 2]") == {}
    assert top_tags("no table") == {}


@pytest.mark.parametrize("algorithm", ["lora", "loha", "lokr"])
def test_diffusers_own_conversion_finds_every_layer_and_the_same_difference(algorithm, tmp_path):
    layers = made(algorithm)
    file = open_adapter(write(tmp_path / "a.safetensors", [layer for layer, _ in layers.values()]))
    convert_file(file, tmp_path / "b.safetensors", "diffusers", miniature(), torch.float32)
    tensors, alphas = StableDiffusionLoraLoaderMixin.lora_state_dict(str(tmp_path / "b.safetensors"))
    wanted = {layer_path_of(name).path: delta for name, (_, delta) in layers.items()}
    found = {}
    for key, down in tensors.items():
        if ".down.weight" not in key:
            continue
        up = tensors[key.replace(".down.weight", ".up.weight")]
        head = key.replace("_lora.", ".lora.").replace(".lora_linear_layer.", ".lora.").rpartition(".lora.")[0]
        path = head.removeprefix("unet.").removeprefix("text_encoder.").replace(".processor", "")
        scale = next(alpha for name, alpha in alphas.items() if path.rpartition(".")[0] in name) / down.shape[0]
        found[path] = up.flatten(1) @ down.flatten(1) * scale
    assert len(found) == len(NAMES)
    for path, delta in wanted.items():
        match = found[path]
        assert near(match.reshape(delta.shape), delta, products=64 * 9)


def test_diffusers_loads_a_converted_file_and_renders_the_merged_weights(tmp_path):
    pytest.importorskip("peft", reason="diffusers attaches adapters with peft")
    names = [LINEAR, SQUARE, POINT, CONV]
    layers = made("loha", names=names)
    file = open_adapter(write(tmp_path / "a.safetensors", [layer for layer, _ in layers.values()]))
    convert_file(file, tmp_path / "b.safetensors", "diffusers", miniature(), torch.float32)
    base = miniature()
    attached, merged = (
        UNet2DConditionModel.from_pretrained(base.path, subfolder="unet", torch_dtype=torch.float32) for _ in range(2)
    )
    inputs = torch.randn(1, 4, 16, 16), torch.tensor([500]), torch.randn(1, 7, 128)
    tensors, alphas = StableDiffusionLoraLoaderMixin.lora_state_dict(
        str(tmp_path / "b.safetensors"), unet_config=attached.config
    )
    StableDiffusionLoraLoaderMixin.load_lora_into_unet(tensors, alphas, attached)
    with torch.no_grad():
        for name, (_, delta) in layers.items():
            merged.get_submodule(layer_path_of(name).path).weight += delta
        plain = UNet2DConditionModel.from_pretrained(base.path, subfolder="unet", torch_dtype=torch.float32)(*inputs)
        assert near(attached(*inputs).sample, merged(*inputs).sample, products=256 * 9)
        assert not torch.allclose(plain.sample, merged(*inputs).sample, atol=1e-2)
    assert TEXT not in layers
