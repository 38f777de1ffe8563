"""Every algorithm's forward pass and gradients against lycoris-lora's own fp32 mathematics, and against its own delta."""

import math
import os
from dataclasses import replace

import pytest
import torch
from torch import nn

os.environ.setdefault("LYCORIS_KERNEL_BACKEND", "torch")
from train.algorithms.drops import Drops
from train.algorithms.kinds import KINDS, kind_of
from train.algorithms.library import Start, _module, first_tensors
from train.algorithms.site import Site

LAYERS = {
    "linear": lambda: nn.Linear(24, 40),
    "square": lambda: nn.Linear(32, 32, bias=False),
    "1x1": lambda: nn.Conv2d(24, 40, 1),
    "3x3": lambda: nn.Conv2d(24, 40, 3, padding=1),
    "strided": lambda: nn.Conv2d(24, 40, 3, stride=2, padding=1),
}
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
    tensors = first_tensors(algorithm, "layer", layer, start)
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
    one, other = ours.output(Site.of(layer), x, 1.0, Drops("")), theirs(x)
    assert (one - layer(x)).abs().max() > 1e-3
    assert torch.allclose(one, other, rtol=1e-5, atol=1e-5 * other.abs().max().item())
    names = [name for name, _ in theirs.named_parameters()]
    assert sorted(names) == sorted(name for name, _ in ours.named_parameters())
    wanted = torch.randn_like(one)
    left, right = (gradients(*each, names) for each in ((one, wanted, x, ours), (other, wanted, x, theirs)))
    for name in left:
        assert torch.allclose(left[name], right[name], rtol=1e-4, atol=1e-5 * right[name].abs().max().item()), name


@pytest.mark.parametrize("strength", [1.0, 0.4])
@pytest.mark.parametrize("place", LAYERS)
@pytest.mark.parametrize("case", CASES)
def test_the_forward_pass_is_the_delta_added_to_the_weight_at_any_strength(case, place, strength):
    torch.manual_seed(1)
    layer = LAYERS[place]().requires_grad_(False)
    algorithm, start = CASES[case]
    ours, site, x = KINDS[algorithm](settled(algorithm, layer, start)), Site.of(layer), inputs(layer)
    delta, _ = ours.delta(site)
    assert delta.shape == layer.weight.shape and delta.dtype is torch.float32
    wanted = layer(x) + strength * site.apply(x, delta)
    assert torch.allclose(ours.output(site, x, strength, Drops("")), wanted, rtol=1e-5, atol=2e-5)
