"""What training does to a weight is what every client makes of the file that is exported for it."""

from dataclasses import dataclass

import pytest
import torch
from adapter_files import miniature, weight_at
from client_weights import weight_delta
from safetensors import safe_open
from tolerance import HALF

from pipeline.core.errors import PrepError
from train.adapters.adapter import Adapter
from train.adapters.config import AdapterConfig
from train.adapters.files.delta import difference
from train.adapters.files.reader import AdapterFile, open_adapter
from train.adapters.files.weights import Weights
from train.adapters.metadata import write_adapter
from train.adapters.names.client_keys import TARGETS, used_keys
from train.adapters.names.kohya_names import layer_path_of
from train.adapters.operations.convert import convert_file
from train.adapters.operations.merged_model import merge_into
from train.models.load import load_base

SHAPES = {
    "lora": {"algorithm": "lora"},
    "locon tucker": {"algorithm": "locon", "tucker": True},
    "locon rank-stabilized": {"algorithm": "locon", "rank_stabilized": True},
    "locon dora": {"algorithm": "locon", "dora": True},
    "loha": {"algorithm": "loha"},
    "loha dora": {"algorithm": "loha", "dora": True},
    "lokr": {"algorithm": "lokr", "factor": 4},
    "lokr whole": {"algorithm": "lokr", "factor": 4, "full_matrix": True},
    "lokr tucker": {"algorithm": "lokr", "factor": 4, "tucker": True},
    "glora": {"algorithm": "glora"},
    "full": {"algorithm": "full"},
    "oft": {"algorithm": "oft", "rank": 8},
    "boft": {"algorithm": "boft", "rank": 8},
    "ia3": {"algorithm": "ia3"},
    "dylora": {"algorithm": "dylora", "unit": 2},
}
CHECKED = 24


@dataclass(frozen=True)
class Trained:
    file: AdapterFile
    deltas: dict[str, torch.Tensor]
    config: AdapterConfig


@pytest.fixture(scope="module")
def base():
    return load_base("miniature")


@pytest.fixture(scope="module", params=SHAPES)
def trained(request, base, tmp_path_factory):
    """An adapter with random weights, its file, and what it adds to some of the layers of every kind."""
    asked = {"rank": 4, "alpha": 2.0, "conv_rank": 4, "conv_alpha": 2.0, "text_encoder": True} | SHAPES[request.param]
    config = AdapterConfig(**asked, convolutions=asked["algorithm"] != "lora")
    torch.manual_seed(5)
    adapter = Adapter(config, base.unet, base.text_encoder)
    with torch.no_grad():
        for weight in adapter.parameters():
            weight.add_(torch.randn_like(weight) * 0.05)
        names = list(adapter.layers)[:: max(1, len(adapter.layers) // CHECKED)]
        deltas = {name: adapter.delta(name)[0] for name in names}
    file = tmp_path_factory.mktemp("adapters") / "a.safetensors"
    write_adapter(file, adapter.tensors(), {})
    return Trained(open_adapter(file).sound(), deltas, config)


def close(found: torch.Tensor, expected: torch.Tensor) -> bool:
    """By the length of the difference; a change of a weight is what is left of the weight, of which rounding takes its share."""
    return float((found - expected.reshape(found.shape)).norm()) <= 1e-4 * float(expected.norm()) + 1e-6


def test_the_file_holds_what_was_trained(trained):
    file, deltas = trained.file, trained.deltas
    model = miniature()
    assert deltas
    for name, delta in deltas.items():
        assert close(difference(file.layer(name), weight_at(model, name)), delta), name


@pytest.mark.parametrize("target", ["universal", "diffusers"])
def test_every_client_renders_what_was_trained(trained, target, tmp_path):
    file, deltas = trained.file, trained.deltas
    model = miniature()
    if target == "diffusers" and any(key.endswith(".diff_b") for key in file.keys):
        with pytest.raises(PrepError, match="no form for a change of a bias"):
            convert_file(file, tmp_path / "b.safetensors", target, model)
        return
    convert_file(file, tmp_path / "b.safetensors", target, model, torch.float32)
    again = open_adapter(tmp_path / "b.safetensors").sound()
    added = {layer_path_of(name) for name in again.outlines} ^ {layer_path_of(name) for name in file.outlines}
    assert all(target == "diffusers" and path.path.endswith("self_attn.out_proj") for path in added)
    for client in TARGETS[target]:
        assert not used_keys(client, again.keys, "sd1").ignored
        for name, delta in deltas.items():
            for strength in (1.0, 0.4):
                found = weight_delta(client, again.layer(name), weight_at(model, name), strength)
                assert close(found, delta * strength), (name, strength)


@torch.no_grad()
def test_a_model_with_the_file_merged_in_generates_as_the_trained_adapter_does(trained, base, tmp_path):
    file = trained.file
    merge_into(miniature(), [(file, Weights())], tmp_path / "model")
    merged = load_base(str(tmp_path / "model"))
    with safe_open(file.path, framework="pt") as opened:
        tensors = {key: opened.get_tensor(key) for key in file.keys}
    adapter = Adapter(trained.config, base.unet, base.text_encoder)
    adapter.load(tensors)
    inputs = torch.randn(1, 4, 16, 16), torch.tensor([400]), torch.randn(1, 5, 128)
    tokens = torch.arange(1, 78)[None]
    plain = base.unet(*inputs).sample
    adapter.attach()
    try:
        attached, states = base.unet(*inputs).sample, base.text_encoder(tokens).last_hidden_state
    finally:
        adapter.detach()
    change = float((attached - plain).norm())
    assert (
        float((merged.unet(*inputs).sample - attached).norm()) < 0.02 * change
    )  # the miniature is stored in half precision
    assert torch.allclose(
        merged.text_encoder(tokens).last_hidden_state, states, atol=4 * HALF * float(states.abs().max())
    )
