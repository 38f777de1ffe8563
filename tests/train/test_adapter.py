import json
from pathlib import Path

import pytest
import torch
from diffusers import UNet2DConditionModel
from safetensors.torch import save_file
from transformers import CLIPTextConfig, CLIPTextModel

from pipeline.errors import PrepError
from train.adapter import CONVOLUTIONAL, TEXT, TRANSFORMER, Adapter, Shape, read_adapter, targets, text_prefix

KOHYA = json.loads((Path(__file__).parents[1] / "data" / "kohya-keys.json").read_text())


def small_unet() -> UNet2DConditionModel:
    torch.manual_seed(0)
    return UNet2DConditionModel(
        sample_size=8,
        block_out_channels=(16, 32),
        layers_per_block=1,
        cross_attention_dim=16,
        attention_head_dim=2,
        norm_num_groups=8,
        down_block_types=("CrossAttnDownBlock2D", "DownBlock2D"),
        up_block_types=("UpBlock2D", "CrossAttnUpBlock2D"),
    )


def small_text() -> CLIPTextModel:
    torch.manual_seed(0)
    return CLIPTextModel(
        CLIPTextConfig(
            vocab_size=50,
            hidden_size=16,
            intermediate_size=32,
            num_hidden_layers=2,
            num_attention_heads=2,
            max_position_embeddings=12,
            eos_token_id=49,
        )
    )


def stable_diffusion_1() -> tuple[UNet2DConditionModel, CLIPTextModel]:
    with torch.device("meta"):
        unet = UNet2DConditionModel(cross_attention_dim=768, attention_head_dim=8)
        return unet, CLIPTextModel(
            CLIPTextConfig(hidden_size=768, num_hidden_layers=12, intermediate_size=3072, num_attention_heads=12)
        )


def test_stable_diffusion_1_layers_have_the_names_and_shapes_that_kohya_gives_them():
    unet, text = stable_diffusion_1()
    linear = {
        "lora_unet_" + path.replace(".", "_"): list(layer.weight.shape) for path, layer in targets(unet, TRANSFORMER)
    }
    every = {
        "lora_unet_" + path.replace(".", "_"): list(layer.weight.shape)
        for path, layer in targets(unet, TRANSFORMER + CONVOLUTIONAL)
    }
    encoder = {
        f"{text_prefix(text)}_{path.replace('.', '_')}": list(layer.weight.shape) for path, layer in targets(text, TEXT)
    }
    assert (len(linear), len(every), len(encoder)) == (192, 278, 72)
    assert linear == {name: shape for name, (shape, kind) in KOHYA["sd1"]["unet"].items() if kind == "linear"}
    assert every == {name: shape for name, (shape, _) in KOHYA["sd1"]["unet"].items()}
    assert encoder == KOHYA["sd1"]["text"]


@pytest.mark.parametrize("algorithm", ["lora", "locon", "loha"])
def test_a_new_adapter_changes_nothing_and_a_trained_one_can_be_saved_and_brought_back(algorithm, tmp_path):
    unet, text = small_unet(), small_text()
    inputs = torch.randn(1, 4, 8, 8), torch.tensor([5]), torch.randn(1, 3, 16)
    before = unet(*inputs).sample
    shape = Shape(algorithm=algorithm, rank=2, alpha=1.0, convolutions=algorithm != "lora", conv_rank=2)
    adapter = Adapter(shape, unet, text)
    adapter.hang()
    assert torch.allclose(unet(*inputs).sample, before, atol=1e-6)
    with torch.no_grad():
        for weight in adapter.parameters():
            weight.add_(torch.randn_like(weight) * 0.3)
    after = unet(*inputs).sample
    assert not torch.allclose(after, before, atol=1e-3)
    adapter.set_strength(0.0)
    assert torch.allclose(unet(*inputs).sample, before, atol=1e-5)
    adapter.take_off()
    assert torch.equal(unet(*inputs).sample, before)

    save_file(adapter.tensors(), tmp_path / "a.safetensors", {"ss_network_dim": "2"})
    tensors, metadata = read_adapter(tmp_path / "a.safetensors")
    again = Adapter(shape, unet, text)
    again.load(tensors)
    again.hang()
    assert metadata["ss_network_dim"] == "2"
    assert torch.allclose(unet(*inputs).sample, after, atol=1e-5)


def test_a_lora_file_renders_as_its_readers_compute_it():
    unet = small_unet()
    adapter = Adapter(Shape(algorithm="lora", rank=2, alpha=1.0), unet, small_text())
    with torch.no_grad():
        for weight in adapter.parameters():
            weight.copy_(torch.randn_like(weight) * 0.3)
    inputs = torch.randn(1, 4, 8, 8), torch.tensor([5]), torch.randn(1, 3, 16)
    adapter.hang()
    trained = unet(*inputs).sample
    adapter.take_off()
    tensors = adapter.tensors()
    with torch.no_grad():
        for path, layer in targets(unet, TRANSFORMER):
            name = "lora_unet_" + path.replace(".", "_")
            up, down = tensors[f"{name}.lora_up.weight"], tensors[f"{name}.lora_down.weight"]
            scale = tensors[f"{name}.alpha"].item() / down.shape[0]
            layer.weight += scale * (up.flatten(1) @ down.flatten(1)).reshape(layer.weight.shape)
    assert torch.allclose(unet(*inputs).sample, trained, atol=1e-4)


def test_text_encoder_layers_are_adapted_only_when_asked():
    unet, text = small_unet(), small_text()
    without = Adapter(Shape(algorithm="lora", rank=2, alpha=1.0), unet, text)
    along = Adapter(Shape(algorithm="lora", rank=2, alpha=1.0, text_encoder=True), unet, text)
    assert not without.parameters_of("te")
    assert len(along.parameters_of("te")) == 2 * 12
    assert len(along.parameters_of("unet")) == len(without.parameters_of("unet"))


def test_a_file_of_another_rank_is_refused_by_name():
    unet, text = small_unet(), small_text()
    small, large = (Adapter(Shape(algorithm="lora", rank=rank, alpha=1.0), unet, text) for rank in (2, 4))
    with pytest.raises(PrepError, match=r"does not fit.*lora_unet_"):
        small.load(large.tensors())


def test_something_that_is_no_safetensors_file_is_refused(tmp_path):
    (tmp_path / "evil.safetensors").write_bytes(b"\x80\x04cos\nsystem\n.")
    with pytest.raises(PrepError, match="not a readable safetensors file"):
        read_adapter(tmp_path / "evil.safetensors")
