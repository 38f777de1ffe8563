"""A change above the largest norm is scaled down to it, whatever the algorithm."""

import pytest
import torch
from small_models import moved, small_text, small_unet, trained_layer
from tolerance import near, rounding
from torch import nn

from train.adapters.adapter import Adapter, AdapterConfig
from train.adapters.algebra.norms import core_norm, product_norm, scale_weight_norms
from train.adapters.config import LayerConfig
from train.adapters.files.delta import difference
from train.adapters.files.layer import Layer
from train.adapters.inject.initial_weights import initial_weights
from train.adapters.registry import ALGORITHMS


@pytest.mark.parametrize("tucker", [False, True])
@pytest.mark.parametrize("algorithm", ["lora", "loha", "lokr", "glora", "full", "dylora"])
@pytest.mark.parametrize("layer", [nn.Linear(24, 40), nn.Conv2d(24, 40, 1), nn.Conv2d(24, 40, 3)])
def test_a_change_above_the_largest_norm_is_scaled_down_to_it(algorithm, layer, tucker):
    torch.manual_seed(2)
    tensors = initial_weights(
        ALGORITHMS[algorithm], "l", layer, LayerConfig(rank=3, alpha=1.5, factor=4, tucker=tucker)
    )
    tensors = {key: value if key == "alpha" else value + torch.randn(value.shape) for key, value in tensors.items()}
    module, held = trained_layer(algorithm, tensors)
    weight = layer.weight.detach()

    class Held:
        norm = staticmethod(lambda: module.norm(weight))
        shrink = staticmethod(module.shrink)

    def delta():
        return difference(Layer("l", ALGORITHMS[algorithm].stored.name, held.state_dict()), weight).clone()

    whole = delta()
    assert module.norm(weight).item() == pytest.approx(whole.norm().item(), rel=rounding(40 * 24 * 9))
    scale_weight_norms([Held], 2 * whole.norm().item())
    assert near(delta(), whole, products=9)
    scale_weight_norms([Held], 1.5)
    assert near(delta(), whole * 1.5 / whole.norm(), products=40 * 24 * 9)


def test_normalization_layers_are_not_held_to_the_largest_norm_of_the_others():
    config = AdapterConfig(algorithm="locon", rank=2, alpha=2.0, convolutions=True, train_norm=True)
    adapter = moved(Adapter(config, small_unet(), small_text()))
    before = {name: adapter.delta(name)[0] for name in adapter.layers}
    adapter.scale_weight_norms(0.1)
    for name, wrapper in adapter.wrappers.items():
        if wrapper.algorithm.name == "norm":
            assert torch.equal(adapter.delta(name)[0], before[name])
        else:
            largest = min(0.1, before[name].norm().item())
            assert adapter.delta(name)[0].norm().item() <= largest * (1 + rounding(32 * 32 * 9))


def test_the_norm_of_a_product_by_hand_and_of_cores():
    assert product_norm(torch.tensor([[3.0], [0.0]]), torch.tensor([[0.0, 4.0]])).item() == pytest.approx(12.0)
    middle, up, down = torch.randn(2, 3, 3, 3), torch.randn(5, 2, 1, 1), torch.randn(3, 4, 1, 1)
    whole = torch.einsum("abkl,oaxy,bixy->oikl", middle, up, down)
    assert core_norm(middle, up, down).item() == pytest.approx(whole.norm().item(), rel=rounding(5 * 4 * 9))
