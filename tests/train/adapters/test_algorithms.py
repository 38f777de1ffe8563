"""Every algorithm's forward pass and gradients against lycoris-lora's own fp32 mathematics, and against its own delta."""

import pytest
import torch
from small_models import trained_layer
from tolerance import near
from torch import nn

from pipeline.core.errors import PrepError
from train.adapters.config import LayerConfig
from train.adapters.files.delta import difference
from train.adapters.files.layer import Layer
from train.adapters.inject.base_layer import BaseLayer
from train.adapters.inject.dropout import Dropout
from train.adapters.inject.initial_weights import initial_weights
from train.adapters.registry import ALGORITHMS

LAYERS = {
    "linear": lambda: nn.Linear(24, 40),
    "square": lambda: nn.Linear(32, 32, bias=False),
    "1x1": lambda: nn.Conv2d(24, 40, 1),
    "3x3": lambda: nn.Conv2d(24, 40, 3, padding=1),
    "strided": lambda: nn.Conv2d(24, 40, 3, stride=2, padding=1),
}
PRODUCTS = 24 * 9
"""That a 3x3 kernel sums for one output; a gradient sums over no more places and outputs."""
CASES = {
    "lora": ("lora", LayerConfig(rank=3, alpha=1.5)),
    "lora rs": ("lora", LayerConfig(rank=4, alpha=1.5, rank_stabilized=True)),
    "lora dora": ("lora", LayerConfig(rank=3, alpha=1.5, dora=True)),
    "locon tucker": ("locon", LayerConfig(rank=3, alpha=1.5, tucker=True)),
    "locon tucker dora": ("locon", LayerConfig(rank=3, alpha=1.5, tucker=True, dora=True)),
    "loha": ("loha", LayerConfig(rank=3, alpha=1.5)),
    "loha wide": ("loha", LayerConfig(rank=12, alpha=3.0)),
    "loha tucker": ("loha", LayerConfig(rank=3, alpha=1.5, tucker=True)),
    "loha dora": ("loha", LayerConfig(rank=2, alpha=1.5, dora=True)),
    "loha wide dora": ("loha", LayerConfig(rank=12, alpha=3.0, dora=True)),
    "lokr": ("lokr", LayerConfig(rank=2, alpha=1.0)),
    "lokr factor": ("lokr", LayerConfig(rank=2, alpha=1.0, factor=4)),
    "lokr both": ("lokr", LayerConfig(rank=1, alpha=0.5, factor=8, decompose_both=True)),
    "lokr full": ("lokr", LayerConfig(rank=2, alpha=1.0, factor=4, full_matrix=True)),
    "lokr tucker": ("lokr", LayerConfig(rank=2, alpha=1.0, factor=2, tucker=True)),
    "lokr dora": ("lokr", LayerConfig(rank=2, alpha=1.0, factor=4, dora=True)),
    "glora": ("glora", LayerConfig(rank=3, alpha=1.5)),
    "oft": ("oft", LayerConfig(rank=4)),
    "boft": ("boft", LayerConfig(rank=10)),
    "ia3": ("ia3", LayerConfig()),
    "ia3 on input": ("ia3", LayerConfig(path="down_blocks.0.ff.net.2")),
}


def moved(algorithm, layer, config):
    """The layer's initial tensors, moved away from the start as training does."""
    tensors = initial_weights(ALGORITHMS[algorithm], "layer", layer, config)
    found = {}
    for key, value in tensors.items():
        away = 0.0 if key in ("alpha", "on_input") else 0.2
        found[key] = value + away * torch.randn(value.shape) if value.is_floating_point() else value
    return found


def difference_of(algorithm, base_layer, tensors):
    """What the layer adds to the weight, as files of it are read."""
    return difference(Layer("layer", ALGORITHMS[algorithm].stored.name, tensors), base_layer.whole())


def inputs(layer):
    shape = (2, layer.weight.shape[1], 6, 5) if isinstance(layer, nn.Conv2d) else (2, 7, layer.weight.shape[1])
    return torch.randn(shape, requires_grad=True)


def gradients(output, wanted, x, module, names):
    parameters = dict(module.named_parameters())
    found = torch.autograd.grad((output * wanted).sum(), [x, *(parameters[name] for name in names)])
    return dict(zip(["x", *names], found, strict=True))


@pytest.mark.parametrize("layer_kind", LAYERS)
@pytest.mark.parametrize("case", CASES)
def test_outputs_and_gradients_are_those_of_the_library_in_full_precision(case, layer_kind):
    torch.manual_seed(len(case) + len(layer_kind))
    layer = LAYERS[layer_kind]().requires_grad_(False)
    algorithm, config = CASES[case]
    tensors = moved(algorithm, layer, config)
    ours, held = trained_layer(algorithm, {key: value.clone() for key, value in tensors.items()})
    theirs = ALGORITHMS[algorithm].trained.library_module("layer", layer, config)
    with torch.no_grad():
        for name, weight in theirs.named_parameters():
            weight.copy_(tensors[name])
    x = inputs(layer)
    one, other = ours.output(BaseLayer.of(layer), x, 1.0, Dropout("")), theirs(x)
    assert (one - layer(x)).abs().max() > 1e-3
    assert near(one, other, PRODUCTS)
    names = [name for name, _ in theirs.named_parameters()]
    assert sorted(names) == sorted(name for name, _ in held.named_parameters())
    wanted = torch.randn_like(one)
    left, right = (gradients(*each, names) for each in ((one, wanted, x, held), (other, wanted, x, theirs)))
    for name in left:
        assert near(left[name], right[name], PRODUCTS), name


@pytest.mark.parametrize("strength", [1.0, 0.4])
@pytest.mark.parametrize("layer_kind", LAYERS)
@pytest.mark.parametrize("case", CASES)
def test_the_forward_pass_is_the_delta_added_to_the_weight_at_any_strength(case, layer_kind, strength):
    torch.manual_seed(1)
    layer = LAYERS[layer_kind]().requires_grad_(False)
    algorithm, config = CASES[case]
    tensors, base_layer, x = moved(algorithm, layer, config), BaseLayer.of(layer), inputs(layer)
    (ours, _), delta = trained_layer(algorithm, tensors), difference_of(algorithm, base_layer, tensors)
    assert delta.shape == layer.weight.shape and delta.dtype is torch.float32
    wanted = layer(x) + strength * base_layer.apply(x, delta)
    assert near(ours.output(base_layer, x, strength, Dropout("")), wanted, PRODUCTS)


@pytest.mark.parametrize("layer_kind", ["linear", "3x3"])
@pytest.mark.parametrize("case", ["loha", "loha dora", "lokr factor", "lokr both", "lokr full", "lokr tucker"])
def test_both_ways_to_the_output_give_the_same(case, layer_kind, monkeypatch):
    """Along the chain of factors or with the weight built: which one is taken is a matter of speed only."""
    torch.manual_seed(5)
    layer = LAYERS[layer_kind]().requires_grad_(False)
    algorithm, config = CASES[case]
    (ours, _), base_layer = trained_layer(algorithm, moved(algorithm, layer, config)), BaseLayer.of(layer)
    x = inputs(layer)
    outputs = []
    for chained in (False, True):
        if case == "lokr tucker" and layer_kind == "linear":
            pytest.skip("a linear layer has no core")
        monkeypatch.setattr(type(ours), "_chained", lambda self, base_layer, x, chained=chained: chained)
        outputs.append(ours.output(base_layer, x, 0.7, Dropout("")))
    assert near(*outputs, PRODUCTS)


def test_long_inputs_go_through_a_built_weight_and_short_ones_along_the_chain():
    layer = nn.Linear(640, 640)
    for algorithm, config in (("lokr", LayerConfig(rank=4, factor=2)), ("loha", LayerConfig(rank=16))):
        module, _ = trained_layer(algorithm, initial_weights(ALGORITHMS[algorithm], "l", layer, config))
        assert module._chained(BaseLayer.of(layer), torch.zeros(8, 640))
        assert not module._chained(BaseLayer.of(layer), torch.zeros(4096, 640))


def test_a_linear_change_by_hand():
    """up (1, 2)ᵀ, down (3, 4), alpha 1, rank 1, x = (1, 1): W·x + (1, 2)·7."""
    layer = nn.Linear(2, 2, bias=False)
    lora, _ = trained_layer(
        "lora",
        {
            "lora_up.weight": torch.tensor([[1.0], [2.0]]),
            "lora_down.weight": torch.tensor([[3.0, 4.0]]),
            "alpha": torch.tensor(1.0),
        },
    )
    x = torch.ones(1, 2)
    assert near(lora.output(BaseLayer.of(layer), x, 1.0, Dropout("")) - layer(x), [[7.0, 14.0]], products=4)


def test_magnitudes_by_hand():
    """W = I, ΔW = (0 0; 1 0): the first column becomes (1, 1) with norm √2; its magnitude 1 makes it (1, 1) / √2."""
    layer = nn.Linear(2, 2, bias=False)
    with torch.no_grad():
        layer.weight.copy_(torch.eye(2))
    tensors = {
        "lora_up.weight": torch.tensor([[0.0], [1.0]]),
        "lora_down.weight": torch.tensor([[1.0, 0.0]]),
        "alpha": torch.tensor(1.0),
        "dora_scale": torch.ones(1, 2),
    }
    delta = difference_of("lora", BaseLayer.of(layer), tensors)
    assert near(delta, [[2**-0.5 - 1, 0.0], [2**-0.5, 0.0]], products=4)


def test_a_quarter_turn_by_hand():
    """Q = (0 -1; 1 0) turns by a right angle under Cayley's transform: R = (0 -1; 1 0), and W' = Rᵀ·W."""
    layer = nn.Linear(2, 2, bias=False)
    with torch.no_grad():
        layer.weight.copy_(torch.eye(2))
    tensors = {"oft_blocks": torch.tensor([[[0.0, 0.0], [1.0, 0.0]]]), "alpha": torch.tensor(0.0)}
    delta = difference_of("oft", BaseLayer.of(layer), tensors)
    assert near(layer.weight + delta, [[0.0, 1.0], [-1.0, 0.0]], products=4)


@pytest.mark.parametrize("layer", [nn.LayerNorm(12), nn.GroupNorm(3, 12)])
def test_trained_norms_are_those_of_the_library(layer):
    from lycoris.modules.norms import NormModule

    torch.manual_seed(0)
    tensors = {"w_norm": torch.randn(12), "b_norm": torch.randn(12)}
    theirs = NormModule("layer", layer)
    with torch.no_grad():
        for name, weight in theirs.named_parameters():
            weight.copy_(tensors[name])
    x = torch.randn(2, 5, 12) if isinstance(layer, nn.LayerNorm) else torch.randn(2, 12, 4, 4)
    ours, _ = trained_layer("norm", tensors)
    assert near(ours.output(BaseLayer.of(layer), x, 1.0, Dropout("")), theirs(x), products=64)


@pytest.mark.parametrize("layer_kind", LAYERS)
def test_a_whole_difference_and_its_bias_are_the_changed_layer(layer_kind):
    torch.manual_seed(0)
    layer = LAYERS[layer_kind]().requires_grad_(False)
    initial = initial_weights(ALGORITHMS["full"], "l", layer, LayerConfig())
    tensors = {key: torch.randn(value.shape) for key, value in initial.items()}
    (full, _), x = trained_layer("full", tensors), inputs(layer)
    bias = None if layer.bias is None else layer.bias + tensors["diff_b"]
    wanted = BaseLayer.of(layer).apply(x, layer.weight + tensors["diff"], bias)
    assert near(full.output(BaseLayer.of(layer), x, 1.0, Dropout("")), wanted, PRODUCTS)


def test_outputs_that_butterflies_cannot_pair_are_refused_with_the_layer():
    with pytest.raises(PrepError, match=r"boft cannot be attached to lora_unet_x.*40 with factor 4"):
        initial_weights(ALGORITHMS["boft"], "lora_unet_x", nn.Linear(8, 40), LayerConfig(rank=4))
