"""Every algorithm's forward pass and gradients against lycoris-lora's own fp32 mathematics, and against its own delta."""

import pytest
import torch
from tolerance import near
from torch import nn

from pipeline.core.errors import PrepError
from train.adapters.inject.base_layer import BaseLayer
from train.adapters.inject.dropout import Dropout
from train.adapters.inject.lycoris_init import Start, _module, initial_weights
from train.adapters.inject.registry import KINDS

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
    "lora": ("lora", Start(rank=3, alpha=1.5)),
    "lora rs": ("lora", Start(rank=4, alpha=1.5, rank_stabilized=True)),
    "lora dora": ("lora", Start(rank=3, alpha=1.5, dora=True)),
    "locon tucker": ("locon", Start(rank=3, alpha=1.5, tucker=True)),
    "locon tucker dora": ("locon", Start(rank=3, alpha=1.5, tucker=True, dora=True)),
    "loha": ("loha", Start(rank=3, alpha=1.5)),
    "loha wide": ("loha", Start(rank=12, alpha=3.0)),
    "loha tucker": ("loha", Start(rank=3, alpha=1.5, tucker=True)),
    "loha dora": ("loha", Start(rank=2, alpha=1.5, dora=True)),
    "loha wide dora": ("loha", Start(rank=12, alpha=3.0, dora=True)),
    "lokr": ("lokr", Start(rank=2, alpha=1.0)),
    "lokr factor": ("lokr", Start(rank=2, alpha=1.0, factor=4)),
    "lokr both": ("lokr", Start(rank=1, alpha=0.5, factor=8, decompose_both=True)),
    "lokr full": ("lokr", Start(rank=2, alpha=1.0, factor=4, full_matrix=True)),
    "lokr tucker": ("lokr", Start(rank=2, alpha=1.0, factor=2, tucker=True)),
    "lokr dora": ("lokr", Start(rank=2, alpha=1.0, factor=4, dora=True)),
    "glora": ("glora", Start(rank=3, alpha=1.5)),
    "oft": ("oft", Start(rank=4)),
    "boft": ("boft", Start(rank=10)),
    "ia3": ("ia3", Start()),
    "ia3 on input": ("ia3", Start(on_input=True)),
}


def settled(algorithm, layer, start):
    """The layer's first tensors, moved away from the start as training does."""
    tensors = initial_weights(algorithm, "layer", layer, start)
    moved = {}
    for key, value in tensors.items():
        away = 0.0 if key in ("alpha", "on_input") else 0.2
        moved[key] = value + away * torch.randn(value.shape) if value.is_floating_point() else value
    return moved


def inputs(layer):
    shape = (2, layer.weight.shape[1], 6, 5) if isinstance(layer, nn.Conv2d) else (2, 7, layer.weight.shape[1])
    return torch.randn(shape, requires_grad=True)


def gradients(output, wanted, x, module, names):
    parameters = dict(module.named_parameters())
    found = torch.autograd.grad((output * wanted).sum(), [x, *(parameters[name] for name in names)])
    return dict(zip(["x", *names], found, strict=True))


@pytest.mark.parametrize("place", LAYERS)
@pytest.mark.parametrize("case", CASES)
def test_outputs_and_gradients_are_those_of_the_library_in_full_precision(case, place):
    torch.manual_seed(len(case) + len(place))
    layer = LAYERS[place]().requires_grad_(False)
    algorithm, start = CASES[case]
    tensors = settled(algorithm, layer, start)
    ours = KINDS[algorithm]({key: value.clone() for key, value in tensors.items()})
    theirs = _module(algorithm, "layer", layer, start)
    with torch.no_grad():
        for name, weight in theirs.named_parameters():
            weight.copy_(tensors[name])
    x = inputs(layer)
    one, other = ours.output(BaseLayer.of(layer), x, 1.0, Dropout("")), theirs(x)
    assert (one - layer(x)).abs().max() > 1e-3
    assert near(one, other, PRODUCTS)
    names = [name for name, _ in theirs.named_parameters()]
    assert sorted(names) == sorted(name for name, _ in ours.named_parameters())
    wanted = torch.randn_like(one)
    left, right = (gradients(*each, names) for each in ((one, wanted, x, ours), (other, wanted, x, theirs)))
    for name in left:
        assert near(left[name], right[name], PRODUCTS), name


@pytest.mark.parametrize("strength", [1.0, 0.4])
@pytest.mark.parametrize("place", LAYERS)
@pytest.mark.parametrize("case", CASES)
def test_the_forward_pass_is_the_delta_added_to_the_weight_at_any_strength(case, place, strength):
    torch.manual_seed(1)
    layer = LAYERS[place]().requires_grad_(False)
    algorithm, start = CASES[case]
    ours, site, x = KINDS[algorithm](settled(algorithm, layer, start)), BaseLayer.of(layer), inputs(layer)
    delta, _ = ours.delta(site)
    assert delta.shape == layer.weight.shape and delta.dtype is torch.float32
    wanted = layer(x) + strength * site.apply(x, delta)
    assert near(ours.output(site, x, strength, Dropout("")), wanted, PRODUCTS)


@pytest.mark.parametrize("place", ["linear", "3x3"])
@pytest.mark.parametrize("case", ["loha", "loha dora", "lokr factor", "lokr both", "lokr full", "lokr tucker"])
def test_both_ways_to_the_output_give_the_same(case, place, monkeypatch):
    """Along the chain of factors or with the weight built: which one is taken is a matter of speed only."""
    torch.manual_seed(5)
    layer = LAYERS[place]().requires_grad_(False)
    algorithm, start = CASES[case]
    ours, site, x = KINDS[algorithm](settled(algorithm, layer, start)), BaseLayer.of(layer), inputs(layer)
    outputs = []
    for chained in (False, True):
        if case == "lokr tucker" and place == "linear":
            pytest.skip("a linear layer has no core")
        monkeypatch.setattr(type(ours), "_chained", lambda self, site, x, chained=chained: chained)
        outputs.append(ours.output(site, x, 0.7, Dropout("")))
    assert near(*outputs, PRODUCTS)


def test_long_inputs_go_through_a_built_weight_and_short_ones_along_the_chain():
    layer = nn.Linear(640, 640)
    lokr = KINDS["lokr"](initial_weights("lokr", "l", layer, Start(rank=4, factor=2)))
    loha = KINDS["loha"](initial_weights("loha", "l", layer, Start(rank=16)))
    for module in (lokr, loha):
        assert module._chained(BaseLayer.of(layer), torch.zeros(8, 640))
        assert not module._chained(BaseLayer.of(layer), torch.zeros(4096, 640))


def test_a_linear_change_by_hand():
    """up (1, 2)ᵀ, down (3, 4), alpha 1, rank 1, x = (1, 1): W·x + (1, 2)·7."""
    layer = nn.Linear(2, 2, bias=False)
    lora = KINDS["lora"](
        {
            "lora_up.weight": torch.tensor([[1.0], [2.0]]),
            "lora_down.weight": torch.tensor([[3.0, 4.0]]),
            "alpha": torch.tensor(1.0),
        }
    )
    x = torch.ones(1, 2)
    assert near(lora.output(BaseLayer.of(layer), x, 1.0, Dropout("")) - layer(x), [[7.0, 14.0]], products=4)


def test_magnitudes_by_hand():
    """W = I, ΔW = (0 0; 1 0): the first column becomes (1, 1) with norm √2; its magnitude 1 makes it (1, 1) / √2."""
    layer = nn.Linear(2, 2, bias=False)
    with torch.no_grad():
        layer.weight.copy_(torch.eye(2))
    lora = KINDS["lora"](
        {
            "lora_up.weight": torch.tensor([[0.0], [1.0]]),
            "lora_down.weight": torch.tensor([[1.0, 0.0]]),
            "alpha": torch.tensor(1.0),
            "dora_scale": torch.ones(1, 2),
        }
    )
    delta, _ = lora.delta(BaseLayer.of(layer))
    assert near(delta, [[2**-0.5 - 1, 0.0], [2**-0.5, 0.0]], products=4)


def test_a_quarter_turn_by_hand():
    """Q = (0 -1; 1 0) turns by a right angle under Cayley's transform: R = (0 -1; 1 0), and W' = Rᵀ·W."""
    layer = nn.Linear(2, 2, bias=False)
    with torch.no_grad():
        layer.weight.copy_(torch.eye(2))
    oft = KINDS["oft"]({"oft_blocks": torch.tensor([[[0.0, 0.0], [1.0, 0.0]]]), "alpha": torch.tensor(0.0)})
    delta, _ = oft.delta(BaseLayer.of(layer))
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
    assert near(KINDS["norm"](tensors).output(BaseLayer.of(layer), x, 1.0, Dropout("")), theirs(x), products=64)


@pytest.mark.parametrize("place", LAYERS)
def test_a_whole_difference_and_its_bias_are_the_changed_layer(place):
    torch.manual_seed(0)
    layer = LAYERS[place]().requires_grad_(False)
    tensors = {key: torch.randn(value.shape) for key, value in initial_weights("full", "l", layer, Start()).items()}
    full, x = KINDS["full"](tensors), inputs(layer)
    bias = None if layer.bias is None else layer.bias + tensors["diff_b"]
    wanted = BaseLayer.of(layer).apply(x, layer.weight + tensors["diff"], bias)
    assert near(full.output(BaseLayer.of(layer), x, 1.0, Dropout("")), wanted, PRODUCTS)


def test_outputs_that_butterflies_cannot_pair_are_refused_with_the_layer():
    with pytest.raises(PrepError, match=r"boft cannot hang on lora_unet_x.*40 with factor 4"):
        initial_weights("boft", "lora_unet_x", nn.Linear(8, 40), Start(rank=4))
