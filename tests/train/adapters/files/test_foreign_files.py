"""Files of PEFT, OneTrainer and LyCORIS: read, converted, and used for training or refused with the reason."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from adapter_files import CONV, LINEAR, SQUARE, made, miniature, weight_at
from peft import LoraConfig, get_peft_model
from peft.utils import get_peft_model_state_dict
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from pipeline.core.errors import PrepError
from train.adapters.adapter import Adapter, attach_adapter, read_adapter
from train.adapters.config import AdapterConfig
from train.adapters.detect import read_config
from train.adapters.files.delta import difference
from train.adapters.files.info import describe
from train.adapters.files.layer import Layer
from train.adapters.files.reader import open_adapter
from train.adapters.files.weights import Weights
from train.adapters.names.kohya_names import layer_path_of
from train.adapters.operations.convert import EMBEDDINGS, convert_file
from train.adapters.operations.merge import merge_adapters
from train.adapters.operations.resize import resize_file
from train.adapters.operations.spectrum import Cut
from train.models.families.key_map import Blocks, unet_to_ldm
from train.models.load import load_base

SD1 = {"ss_base_model_version": "sd_v1"}


class Two(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.linear, self.conv = nn.Linear(6, 4, bias=False), nn.Conv2d(6, 4, 3, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        return x


def test_magnitudes_of_peft_are_those_of_outputs_on_convolutions_too(tmp_path):
    torch.manual_seed(0)
    plain = Two()
    before = {name: weight.clone() for name, weight in plain.state_dict().items()}
    config = LoraConfig(r=2, lora_alpha=2, target_modules=["linear", "conv"], use_dora=True, init_lora_weights=False)
    model = get_peft_model(plain, config)
    with torch.no_grad():
        for name, weight in model.named_parameters():
            if "magnitude" in name:
                weight.mul_(torch.rand_like(weight) + 0.5)
    places = {"linear": "down_blocks.0.attentions.0.proj_in", "conv": "down_blocks.0.resnets.0.conv1"}
    held = {}
    for key, value in get_peft_model_state_dict(model).items():
        for short, place in places.items():
            if f".{short}." in key:
                held[key.replace(short, place)] = value.contiguous()
    assert {tuple(value.shape) for key, value in held.items() if "magnitude" in key} == {(4,), (1, 4, 1, 1)}
    save_file(held, tmp_path / "a.safetensors")
    file = open_adapter(tmp_path / "a.safetensors").sound()
    after = model.merge_and_unload().state_dict()
    for short, place in places.items():
        layer = file.layer(f"lora_unet_{place.replace('.', '_')}")
        assert layer.dora == "output"
        found = difference(layer, before[f"{short}.weight"])
        assert torch.allclose(found, after[f"{short}.weight"] - before[f"{short}.weight"], atol=1e-6)


def test_magnitudes_as_long_as_the_outputs_are_those_of_outputs_however_they_lie(tmp_path):
    (layer, _) = made("lora", "dora-output", [LINEAR])[LINEAR]
    turned = dict(layer.tensors) | {"dora_scale": layer.tensors["dora_scale"].reshape(1, -1)}
    save_file({f"{LINEAR}.{key}": value.contiguous() for key, value in turned.items()}, tmp_path / "a.safetensors")
    weight = weight_at(miniature(), LINEAR)
    found = open_adapter(tmp_path / "a.safetensors").layer(LINEAR)
    assert found.dora == "output"
    assert torch.allclose(difference(found, weight), difference(layer, weight))


@pytest.mark.parametrize("algorithm", ["lora", "loha", "lokr"])
def test_training_from_dora_along_outputs_is_refused_with_the_reason(algorithm):
    base = load_base("miniature")
    (layer, _) = made(algorithm, "dora-output", [SQUARE])[SQUARE]
    tensors = {f"{SQUARE}.{key}": value for key, value in layer.tensors.items()}
    config = AdapterConfig(algorithm=algorithm, rank=2, alpha=3.0, dora=True)
    with pytest.raises(PrepError, match=r"along the output axis \(wd_on_output") as caught:
        Adapter.of_tensors(tensors, config, base.unet, base.text_encoder)
    assert "damaged" not in caught.value.message + caught.value.hint


def onetrainer(layers: dict[str, Layer], style: str) -> dict[str, Tensor]:
    """The layers as OneTrainer writes them."""
    unet = {"original": "unet.", "comfyui": "diffusion_model.", "internal": "lora_unet."}[style]
    text = {"original": "clip_l.", "comfyui": "text_encoders.clip_l.transformer.", "internal": "lora_te."}[style]
    halves = {"lora_down.weight": "lora_A.weight", "lora_up.weight": "lora_B.weight"} if style == "comfyui" else {}
    held = {}
    for name, layer in layers.items():
        place = layer_path_of(name)
        path = place.path
        if place.part == "unet" and style != "internal":
            path = unet_to_ldm(path, Blocks(1))
        start = unet if place.part == "unet" else text
        held |= {f"{start}{path}.{halves.get(key, key)}": value.contiguous() for key, value in layer.tensors.items()}
    return held


@pytest.mark.parametrize("style", ["comfyui", "internal"])
@pytest.mark.parametrize("algorithm", ["lora", "loha", "lokr"])
def test_files_of_onetrainer_become_kohyas(style, algorithm, tmp_path):
    names = [SQUARE, "lora_te_text_model_encoder_layers_1_mlp_fc1"]
    layers = {name: layer for name, (layer, _) in made(algorithm, names=names).items()}
    save_file(onetrainer(layers, style), tmp_path / "a.safetensors", SD1)
    convert_file(open_adapter(tmp_path / "a.safetensors"), tmp_path / "b.safetensors", "universal")
    found = load_file(tmp_path / "b.safetensors")
    wanted = {f"{name}.{key}": value for name, layer in layers.items() for key, value in layer.tensors.items()}
    assert found.keys() == wanted.keys()
    assert all(torch.equal(found[key].float(), wanted[key].float()) for key in wanted)


def test_training_from_the_names_of_another_trainer_says_what_to_do(tmp_path):
    layers = {name: layer for name, (layer, _) in made("lora", names=[SQUARE]).items()}
    file = tmp_path / "a.safetensors"
    save_file(onetrainer(layers, "comfyui"), file, SD1)
    with pytest.raises(PrepError, match="names of another trainer") as caught:
        read_config(file)
    assert "prep adapter convert" in caught.value.hint
    with pytest.raises(PrepError, match="names of another trainer"):
        attach_adapter(load_base("miniature"), file)


def bundled(folder: Path) -> Path:
    held = {f"{name}.{key}": value for name, (layer, _) in made("lora").items() for key, value in layer.tensors.items()}
    held |= {"bundle_emb.lumi.clip_l": torch.ones(2, 8), "bundle_emb.nox.clip_l": torch.ones(1, 8)}
    save_file({key: value.contiguous() for key, value in held.items()}, folder / "a.safetensors", SD1)
    return folder / "a.safetensors"


def test_textual_inversions_that_a_file_brings_along_are_kept_and_said(tmp_path):
    file = open_adapter(bundled(tmp_path)).sound()
    assert describe(file)["embeddings"] == ["lumi", "nox"]
    done = convert_file(file, tmp_path / "b.safetensors", "universal")
    assert done.layers[EMBEDDINGS] == 2
    assert torch.equal(load_file(tmp_path / "b.safetensors")["bundle_emb.lumi.clip_l"], torch.ones(2, 8))
    done = convert_file(file, tmp_path / "c.safetensors", "diffusers")
    assert any("left out" in form for form in done.layers)
    assert not any(key.startswith("bundle_emb") for key in load_file(tmp_path / "c.safetensors"))
    resized = resize_file(file, tmp_path / "d.safetensors", Cut(rank=1))
    assert resized.kept == {"weights of textual inversions": 2}
    assert "bundle_emb.nox.clip_l" in load_file(tmp_path / "d.safetensors")
    merge_adapters([(file, Weights())], tmp_path / "e.safetensors")


@pytest.mark.parametrize("algorithm", ["lora", "loha", "lokr", "glora", "full"])
@pytest.mark.parametrize("name", [LINEAR, CONV])
def test_the_scalar_of_lycoris_acts_on_the_whole_difference(algorithm, name, tmp_path):
    layer, _ = made(algorithm, names=[name])[name]
    held = {f"{name}.{key}": value.contiguous() for key, value in layer.tensors.items()}
    save_file(held | {f"{name}.scalar": torch.tensor([0.25])}, tmp_path / "a.safetensors", SD1)
    weight = weight_at(miniature(), name)
    found = difference(open_adapter(tmp_path / "a.safetensors").sound().layer(name), weight)
    assert torch.allclose(found, 0.25 * difference(layer, weight), rtol=1e-5, atol=1e-7)
    used = describe(open_adapter(tmp_path / "a.safetensors"))["clients"]["a1111"]["keys_ignored"]
    assert any("scalar" in why for why in used)


def test_training_goes_on_from_a_file_with_scalars_and_textual_inversions(tmp_path):
    base = load_base("miniature")
    layer, delta = made("lora", names=[SQUARE])[SQUARE]
    held = {f"{SQUARE}.{key}": value.contiguous() for key, value in layer.tensors.items()}
    held |= {f"{SQUARE}.scalar": torch.tensor(0.5), "bundle_emb.x.clip_l": torch.ones(1, 8)}
    save_file(held, tmp_path / "a.safetensors")
    config = read_config(tmp_path / "a.safetensors")
    tensors, _ = read_adapter(tmp_path / "a.safetensors")
    adapter = Adapter.of_tensors(tensors, config, base.unet, base.text_encoder)
    assert torch.allclose(adapter.delta(SQUARE)[0], 0.5 * delta, rtol=1e-5, atol=1e-7)


def test_info_knows_that_diffusers_shows_pefts_dora_in_the_unet_alone(tmp_path):
    layer, _ = made("lora", "dora-output", [SQUARE])[SQUARE]
    halves = {"lora_down.weight": "lora_A.weight", "lora_up.weight": "lora_B.weight"}
    held = {
        f"{start}.{halves[key]}": layer.tensors[key].clone()
        for key in halves
        for start in ("unet.mid_block.attentions.0.transformer_blocks.0.attn1.to_q",
                      "text_encoder.text_model.encoder.layers.0.self_attn.q_proj")
    }  # fmt: skip
    for key in list(held):
        if "lora_A" in key:
            held[key.replace("lora_A.weight", "lora_magnitude_vector")] = layer.tensors["dora_scale"].flatten().clone()
    save_file(held, tmp_path / "a.safetensors", SD1)
    clients = describe(open_adapter(tmp_path / "a.safetensors"))["clients"]
    assert clients["diffusers"]["layers_wrong"] == {"DoRA's magnitudes of text encoders are not loaded": 1}
    assert sum("lora_magnitude_vector" in why for why in clients["comfyui"]["keys_ignored"]) == 1


def test_a_scalar_where_none_belongs_is_a_problem(tmp_path):
    layer, _ = made("oft", names=[SQUARE])[SQUARE]
    held = {f"{SQUARE}.{key}": value.contiguous() for key, value in layer.tensors.items()}
    save_file(held | {f"{SQUARE}.scalar": torch.tensor(0.25)}, tmp_path / "a.safetensors")
    with pytest.raises(PrepError, match="scalar"):
        open_adapter(tmp_path / "a.safetensors").sound()
