"""What the installed diffusers makes, with its own `load_lora_weights`, of files that are written for it."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import torch
from foreign_keys import FILES
from peft.tuners.lora import LoraLayer
from safetensors.torch import save_file
from tiny_models import CONFIGS, tiny_pipeline
from torch import Tensor

from train.adapters.adapter import Adapter
from train.adapters.algebra.factors import Factors
from train.adapters.config import AdapterConfig
from train.adapters.export import rendered
from train.adapters.files.checkpoints import Checkpoint, open_checkpoint
from train.adapters.files.info import describe
from train.adapters.files.layer import lora_layer
from train.adapters.files.one_alpha import ONE_ALPHA, with_alpha
from train.adapters.files.reader import open_adapter
from train.adapters.metadata import as_texts, model_facts, write_adapter
from train.adapters.names.client_keys import NO_OUTPUT, used_keys
from train.adapters.names.key_styles import named
from train.adapters.names.kohya_names import FOLDERS, layer_path_of
from train.adapters.operations.convert import convert_file
from train.models.families.key_map import blocks_of

ALGORITHMS: dict[str, dict[str, Any]] = {
    "lora": {"algorithm": "lora"},
    "lora blocks": {"algorithm": "lora", "block_ranks": {"IN": 2}, "block_alphas": {"OUT": 7.0, "BASE": 1.0}},
    "lora dora": {"algorithm": "lora", "dora": True},
    "locon": {"algorithm": "locon", "conv_alpha": 5.0},
    "locon tucker": {"algorithm": "locon", "tucker": True},
    "loha": {"algorithm": "loha"},
    "loha dora": {"algorithm": "loha", "dora": True},
    "lokr": {"algorithm": "lokr", "factor": 4},
    "lokr whole": {"algorithm": "lokr", "factor": 4, "full_matrix": True},
    "glora": {"algorithm": "glora"},
    "dylora": {"algorithm": "dylora", "unit": 2},
    "oft": {"algorithm": "oft", "rank": 8},
    "boft": {"algorithm": "boft", "rank": 8},
    "ia3": {"algorithm": "ia3"},
}

REFUSALS = ("Invalid LoRA checkpoint", "not found in the base model", "not in the list of present adapters")
OUTPUT = re.compile(r"lora_te.*_self_attn_out_proj")


@dataclass(frozen=True)
class Tiny:
    family: str
    pipeline: Any
    folder: Checkpoint


@pytest.fixture(scope="module", params=["sd1", "sd2", "sdxl"])
def tiny(request, tmp_path_factory) -> Tiny:
    folder = tmp_path_factory.mktemp(request.param)
    pipeline = tiny_pipeline(request.param)
    pipeline.set_progress_bar_config(disable=True)
    pipeline.save_pretrained(folder)
    return Tiny(request.param, pipeline, open_checkpoint(folder))


def encoders(pipeline: Any) -> list[Any]:
    return [each for name in ("text_encoder", "text_encoder_2") if (each := getattr(pipeline, name, None)) is not None]


def trained(tiny: Tiny, name: str) -> Adapter:
    """An adapter of random weights."""
    asked = {"rank": 4, "alpha": 2.0, "conv_rank": 4, "conv_alpha": 2.0, "text_encoder": True} | ALGORITHMS[name]
    asked["text_encoder"] = (tiny.family, name) not in (("sd2", "boft"), ("sdxl", "boft"))  # 40 has no such factors
    config = AdapterConfig(**asked, convolutions=asked["algorithm"] not in ("lora", "ia3"))
    torch.manual_seed(3)
    adapter = Adapter(config, tiny.pipeline.unet, *encoders(tiny.pipeline))
    with torch.no_grad():
        for weight in adapter.parameters():
            weight.add_(torch.randn_like(weight) * 0.05)
    return adapter


def loaded(tiny: Tiny, file: Any, strength: float) -> dict[tuple[str, str], Tensor]:
    """(part, path of the layer) → what diffusers adds to its weight."""
    pipeline = tiny.pipeline
    pipeline.load_lora_weights(str(file.parent), weight_name=file.name, adapter_name="tested")
    pipeline.set_adapters("tested", strength)
    found = {}
    for part, folder in FOLDERS.items():
        model = getattr(pipeline, folder, None)
        for path, module in model.named_modules() if model is not None else ():
            if isinstance(module, LoraLayer):
                assert not module.use_dora.get("tested")
                found[part, path.removeprefix("text_model.")] = module.get_delta_weight("tested").detach().clone()
    pipeline.unload_lora_weights()
    return found


def native(tiny: Tiny, adapter: Adapter, file: Path) -> Path:
    write_adapter(file, adapter.tensors(), as_texts(model_facts(tiny.family, False)))
    return file


def wrong_layers(tiny: Tiny, adapter: Adapter, found: dict[tuple[str, str], Tensor], strength: float) -> list[str]:
    """The layers of which diffusers adds something else than was trained, or nothing."""
    blocks, wrong = blocks_of(CONFIGS[tiny.family]["unet"]), []
    for layer in adapter.layers:
        place = layer_path_of(layer, blocks)
        delta = adapter.delta(layer)[0] * strength
        shown = found.get((place.part, place.path.removeprefix("text_model.")), torch.zeros_like(delta))
        if float((shown.reshape(delta.shape) - delta).norm()) > 1e-4 * float(delta.norm()) + 1e-6:
            wrong.append(layer)
    return wrong


def shown_as_trained(tiny: Tiny, name: str, folder: Path) -> None:
    adapter = trained(tiny, name)
    made = folder / "made.safetensors"
    file = open_adapter(native(tiny, adapter, folder / "native.safetensors"))
    convert_file(file, made, "diffusers", tiny.folder, torch.float32)
    for strength in (1.0, 0.5):
        assert not wrong_layers(tiny, adapter, loaded(tiny, made, strength), strength), strength
    described = describe(open_adapter(made))["clients"]["diffusers"]
    assert described["renders"], described


@pytest.mark.parametrize("name", ["lora blocks", "locon", "loha"])
def test_diffusers_shows_every_layer_as_it_was_trained(tiny, name, tmp_path):
    shown_as_trained(tiny, name, tmp_path)


@pytest.mark.slow
@pytest.mark.parametrize("name", ALGORITHMS)
def test_diffusers_shows_every_algorithm_as_it_was_trained(tiny, name, tmp_path):
    shown_as_trained(tiny, name, tmp_path)


def test_info_names_the_layers_that_diffusers_scales_by_the_commonest_alpha(tiny, tmp_path):
    adapter = trained(tiny, "lora blocks")
    file = native(tiny, adapter, tmp_path / "a.safetensors")
    wrong = wrong_layers(tiny, adapter, loaded(tiny, file, 1.0), 1.0)
    found = describe(open_adapter(file))["clients"]["diffusers"]
    assert found["layers_wrong"] == {ONE_ALPHA: len(wrong)}
    assert not found["renders"]


def test_info_tells_that_diffusers_drops_text_attention_without_an_output(tiny, tmp_path):
    adapter = trained(tiny, "lora")
    held = {key: value for key, value in adapter.tensors().items() if not OUTPUT.search(key)}
    write_adapter(tmp_path / "a.safetensors", held, as_texts(model_facts(tiny.family, False)))
    found = loaded(tiny, tmp_path / "a.safetensors", 1.0)
    assert not any("self_attn" in path for _, path in found)
    ignored = describe(open_adapter(tmp_path / "a.safetensors"))["clients"]["diffusers"]["keys_ignored"]
    assert ignored == {NO_OUTPUT: sum("self_attn" in key for key in held)}


def test_an_export_for_diffusers_is_written_anew_where_only_alphas_differ(tiny, tmp_path):
    adapter = trained(tiny, "lora blocks")
    assert rendered(adapter.tensors(), "universal")
    assert not rendered(adapter.tensors(), "diffusers")
    assert rendered(trained(tiny, "lora").tensors(), "diffusers")


def test_a_factor_of_another_alpha_is_the_same_product():
    layer = lora_layer("lora_unet_conv_in", Factors(torch.tensor([[6.0]]), torch.tensor([[1.0]])), (), scale=0.5)
    found = with_alpha(layer, 4.0)
    assert float(found.tensors["alpha"]) == 4.0
    # alpha / rank is 4, so the factors' product is 6 / 4, and both are its root
    assert float(found.tensors["lora_up.weight"]) == pytest.approx(1.5**0.5)
    assert float(found.tensors["lora_down.weight"]) == pytest.approx(1.5**0.5)


@pytest.mark.parametrize("style", FILES)
def test_diffusers_loads_the_layers_of_other_trainers_that_info_says(style, tiny, tmp_path):
    if tiny.family != "sd1":
        pytest.skip("the names are those of SD 1.x")
    held = {}
    for key in FILES[style]:
        name = named(key)
        weight = tiny.folder.tensor(tiny.folder.slot(layer_path_of(name.layer)))
        sides = {"lora_down.weight": (2, weight.shape[1]), "lora_up.weight": (weight.shape[0], 2)}
        held[key] = torch.randn(sides.get(name.suffix, ()))
    save_file(held, tmp_path / "a.safetensors")
    try:
        found = set(loaded(tiny, tmp_path / "a.safetensors", 1.0))
    except ValueError as error:
        found = set()
        assert any(words in str(error) for words in REFUSALS), error
    read = {layer_path_of(named(key).layer) for key in used_keys("diffusers", held, "sd1").read}
    assert found == {(place.part, place.path.removeprefix("text_model.")) for place in read}
